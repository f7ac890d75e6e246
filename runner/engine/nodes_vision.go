package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"nightshift/runner/engine/llm"
	"nightshift/spec"
)

// maxImage is how large an image may be, in bytes: what providers take.
const maxImage = 20 << 20

// imageTypes are those that all providers take.
var imageTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// compileVision gives the compiler of the node that asks this provider about an
// image.
func compileVision(provider string) func(s *setup) step {
	return func(s *setup) step {
		m, from := s.model(provider), s.engine.disk
		image, prompt, system := s.fileIn("image"), s.in("prompt"), s.in("system")
		response, deltas, counts := s.out("response"), s.out("response_deltas"), s.counts()
		return func(c *call) error {
			r, err := m.request(c)
			if err != nil {
				return err
			}
			picture, err := readImage(c.ctx, image.input.value(c), from)
			if err != nil {
				return fmt.Errorf("input \"image\": %w", err)
			}
			r.Prompt, r.System, r.Images = prompt.text(c), system.text(c), []llm.Image{picture}
			answer, err := m.ask(c, r, "response", m.fits(r))
			if err != nil {
				return err
			}
			c.set(response, answer.Text)
			c.set(deltas, answer.Text)
			counts.set(c, answer)
			return nil
		}
	}
}

// readImage makes an image of a value: an address (http, https, data), a file as the
// platform's API has it, or the path that the author wrote.
func readImage(ctx context.Context, v any, from disk) (llm.Image, error) {
	if path, ok := v.(authorsFile); ok {
		return openImage(ctx, string(path), from)
	}
	if object, ok := v.(map[string]any); ok {
		raw, ok := object["raw_bytes"].(string)
		if !ok || object["type"] != "file" {
			return llm.Image{}, errors.New("the value is not {type: file, raw_bytes: ..., metadata: ...}")
		}
		return decodeImage(raw)
	}
	text, ok := v.(string)
	if text = strings.TrimSpace(text); !ok || text == "" {
		return llm.Image{}, fmt.Errorf("%s is no image: give an address, a path or a file object", quote(v))
	}
	scheme, rest, _ := strings.Cut(text, ":")
	switch strings.ToLower(scheme) {
	case "http", "https":
		if address, err := url.Parse(text); err != nil || address.Host == "" {
			return llm.Image{}, fmt.Errorf("%s is no address", quote(text))
		}
		return llm.Image{URL: text}, nil
	case "data":
		kind, data, _ := strings.Cut(rest, ",")
		if strings.HasSuffix(kind, ";base64") {
			return decodeImage(data)
		}
		plain, err := url.PathUnescape(data)
		if err != nil {
			return llm.Image{}, fmt.Errorf("the data is neither base64 nor escaped as in an address: %w", err)
		}
		return newImage([]byte(plain), "the data")
	}
	return llm.Image{}, fmt.Errorf("%s is no address; a path is read only where the batch file or an input of type image gives it", quote(text))
}

func decodeImage(text string) (llm.Image, error) {
	if base64.StdEncoding.DecodedLen(len(text)) > maxImage+3 {
		return llm.Image{}, errTooLarge
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return llm.Image{}, fmt.Errorf("the data is not base64: %w", err)
	}
	return newImage(data, "the data")
}

func openImage(ctx context.Context, path string, from disk) (llm.Image, error) {
	if from.none() {
		return llm.Image{}, fmt.Errorf("files are not read here, so %s cannot be; give an address or a file object", quote(path))
	}
	data, err := from.read(ctx, path, maxImage)
	if err != nil {
		return llm.Image{}, err
	}
	return newImage(data, spec.PathIn(from.dir, path))
}

var errTooLarge = fmt.Errorf("the image has more than %d MB", maxImage>>20)

// newImage tells by the bytes what kind of image it is: names and labels of
// files are often wrong, and providers refuse those that are.
func newImage(data []byte, from string) (llm.Image, error) {
	if len(data) > maxImage {
		return llm.Image{}, errTooLarge
	}
	mime := http.DetectContentType(data)
	if !slices.Contains(imageTypes, mime) {
		return llm.Image{}, fmt.Errorf("%s is neither PNG, JPEG, GIF nor WebP, but %s", from, mime)
	}
	return llm.Image{MIME: mime, Data: data}, nil
}
