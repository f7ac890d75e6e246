package engine

import "fmt"

// tokenLength is how many characters count as a token where text is cut.
const tokenLength = 4

// chunkSizes are the inputs that say how text is cut.
type chunkSizes struct{ size, overlap input }

func (s *setup) chunkSizes() chunkSizes {
	sizes := chunkSizes{s.in("chunk_size"), s.in("chunk_overlap")}
	_, size := sizes.size.literal()
	_, overlap := sizes.overlap.literal()
	if size && overlap && s.batch == nil {
		if _, err := sizes.of(&call{}); err != nil {
			s.refuse("chunk_size", "%v", err)
		}
	}
	return sizes
}

func (sizes chunkSizes) of(c *call) (chunker, error) {
	size, err := sizes.size.integer(c)
	if err != nil {
		return chunker{}, err
	}
	overlap, err := sizes.overlap.integer(c)
	switch {
	case err != nil:
		return chunker{}, err
	case size < 1:
		return chunker{}, fmt.Errorf("input \"chunk_size\": %d is not a size: it must be 1 or more", size)
	case overlap < 0 || overlap >= size:
		return chunker{}, fmt.Errorf("input \"chunk_overlap\": %d must be less than chunk_size, which is %d, and not negative", overlap, size)
	}
	return chunker{size * tokenLength, overlap * tokenLength}, nil
}

// compileChunking cuts text into chunks, of sentences, blocks of Markdown, or the
// units that segmentation_method names; a token is 4 characters.
func compileChunking(s *setup) step {
	text, splitter, segmentation := s.in("text"), s.in("splitter_method"), s.in("segmentation_method")
	out, sizes := s.out("chunks"), s.chunkSizes()
	dividers := map[string]divider{"words": firstWord, "sentences": firstSentence, "paragraphs": firstParagraph}
	return func(c *call) error {
		how, err := sizes.of(c)
		if err != nil {
			return err
		}
		method, err := splitter.choice(c)
		if err != nil {
			return err
		}
		by := divider(firstBlock)
		switch method {
		case "sentence":
			by = firstSentence
		case "dynamic":
			unit, err := segmentation.choice(c)
			if err != nil {
				return err
			}
			by = dividers[unit]
		}
		c.set(out, how.chunks(text.text(c), by))
		return nil
	}
}
