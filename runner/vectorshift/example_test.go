package vectorshift_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
)

// connect gives a client of a platform for tests, and a pipeline that is saved there.
// Programs call vectorshift.New(vectorshift.Options{}).
func connect() (client *vectorshift.Client, pipeline *vectorshift.Pipeline, platform *vectorshifttest.Server) {
	platform = vectorshifttest.New()
	platform.Set(vectorshifttest.Settings{
		Takes: func(r vectorshifttest.Run) time.Duration {
			if strings.Contains(r.Inputs["input_0"].(string), "for ever") {
				return -1
			}
			return 0
		},
		Ends: func(r vectorshifttest.Run) (map[string]any, string) {
			if r.Inputs["input_0"] == "" {
				return nil, "node llm: the prompt is empty"
			}
			return map[string]any{"output_0": "Space is silent."}, ""
		},
	})
	client, err := vectorshift.New(vectorshift.Options{BaseURL: platform.URL, Key: platform.Key})
	if err != nil {
		log.Fatal(err)
	}
	pipeline, err = client.New(context.Background(), "summariser")
	if err != nil {
		log.Fatal(err)
	}
	in := pipeline.Add("input_0", vectorshift.Input{Type: "string"})
	llm := pipeline.Add("llm", vectorshift.LLM{Provider: "openai", Model: "gpt-5.1", Prompt: in.Out("text"), Stream: true})
	pipeline.Add("output_0", vectorshift.Output{Type: "stream<string>", Value: llm.Out("response")})
	if _, err := pipeline.Save(context.Background(), vectorshift.SaveOptions{}); err != nil {
		log.Fatal(err)
	}
	return client, pipeline, platform
}

// A pipeline is fetched, or else made; then nodes are added, and it is saved. A
// second save finds nothing to write.
func Example_build() {
	client, _, platform := connect()
	defer platform.Close()
	ctx := context.Background()

	pipeline, err := client.Fetch(ctx, vectorshift.Which{Name: "bg_summariser"})
	if _, missing := errors.AsType[*runner.NotFoundError](err); missing {
		pipeline, err = client.New(ctx, "bg_summariser")
	}
	if err != nil {
		log.Fatal(err)
	}
	in := pipeline.Add("input_0", vectorshift.Input{Type: "string"})
	llm := pipeline.Add("llm", vectorshift.LLM{Provider: "openai", Model: "gpt-5.1", Prompt: in.Out("text")})
	pipeline.Add("output_0", vectorshift.Output{Type: "string", Value: llm.Out("response")})
	for range 2 {
		action, err := pipeline.Save(ctx, vectorshift.SaveOptions{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(action)
	}
	// Output:
	// updated
	// unchanged
}

// Start returns at once, with all that any process needs to find the run again.
func Example_start() {
	client, pipeline, platform := connect()
	defer platform.Close()
	ctx := context.Background()

	handle, err := pipeline.Start(ctx, runner.Inputs{"input_0": "Tell me a fun fact about space."}, vectorshift.RunOptions{TraceID: "night-7"})
	if err != nil {
		log.Fatal(err)
	}
	kept, err := json.Marshal(handle)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(kept))

	// In another process:
	var h vectorshift.RunHandle
	if err := json.Unmarshal(kept, &h); err != nil {
		log.Fatal(err)
	}
	status, err := client.Handle(h.PipelineID, h.TaskID, h.TraceID).Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.State)
	// Output:
	// {"pipeline_id":"a00000000000000000000001","task_id":"c00000000000000000000003","trace_id":"night-7"}
	// succeeded
}

// Status is one look, without waiting. State is one of our words, Word is the
// platform's own.
func ExampleRunHandle_Status() {
	_, pipeline, platform := connect()
	defer platform.Close()
	ctx := context.Background()

	handle, err := pipeline.Start(ctx, runner.Inputs{"input_0": "Think for ever."}, vectorshift.RunOptions{})
	if err != nil {
		log.Fatal(err)
	}
	status, err := handle.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.State, status.Word)
	// Output: running in_progress
}

// Result waits until the run has ended.
func ExampleRunHandle_Result() {
	_, pipeline, platform := connect()
	defer platform.Close()
	ctx := context.Background()

	handle, err := pipeline.Start(ctx, runner.Inputs{"input_0": "Tell me a fun fact about space."}, vectorshift.RunOptions{})
	if err != nil {
		log.Fatal(err)
	}
	result, err := handle.Result(ctx, vectorshift.ResultOptions{PollInterval: 2 * time.Second, Timeout: 2 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.State)
	fmt.Println(result.Outputs["output_0"])
	// Output:
	// succeeded
	// Space is silent.
}

// What may pass is tried again; a run that failed is not. Result looks again by
// itself where a look fails, so what is tried again here are starts that were refused.
func Example_failures() {
	_, pipeline, platform := connect()
	defer platform.Close()
	ctx := context.Background()

	once := func(inputs runner.Inputs) (*vectorshift.Result, error) {
		handle, err := pipeline.Start(ctx, inputs, vectorshift.RunOptions{})
		if err != nil {
			return nil, err
		}
		return handle.Result(ctx, vectorshift.ResultOptions{PollInterval: time.Millisecond, Timeout: 20 * time.Millisecond})
	}
	runWithRetries := func(inputs runner.Inputs) (result *vectorshift.Result, err error) {
		for attempt := range 3 {
			result, err = once(inputs)
			var (
				limited  *runner.RateLimitError
				internal *runner.InternalServerError
				failed   *runner.RunFailedError
				timedOut *runner.PollTimeoutError
			)
			switch {
			case errors.As(err, &limited):
				fmt.Println("rate limited")
				time.Sleep(max(limited.RetryAfter, time.Millisecond<<attempt))
			case errors.As(err, &internal):
				fmt.Println("server error", internal.StatusCode)
				time.Sleep(time.Millisecond << attempt)
			case errors.As(err, &failed):
				return nil, fmt.Errorf("bad inputs, or a bad pipeline: %s", failed.RunError)
			case errors.As(err, &timedOut):
				return nil, errors.Join(errors.New("it took too long"), pipeline.Terminate(ctx, timedOut.TaskID))
			default:
				return result, err
			}
		}
		return nil, fmt.Errorf("given up: %w", err)
	}

	platform.Fail(vectorshifttest.Start, 1, vectorshifttest.Failure{Status: http.StatusTooManyRequests})
	platform.Fail(vectorshifttest.Start, 1, vectorshifttest.Failure{Status: http.StatusServiceUnavailable})
	for _, text := range []string{"Tell me a fun fact about space.", "", "Think for ever."} {
		result, err := runWithRetries(runner.Inputs{"input_0": text})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(result.State)
	}
	// Output:
	// rate limited
	// server error 503
	// succeeded
	// bad inputs, or a bad pipeline: node llm: the prompt is empty
	// it took too long
}

// A run is terminated by its handle or, from any other process, by its task id.
func Example_terminate() {
	client, pipeline, platform := connect()
	defer platform.Close()
	ctx := context.Background()

	for _, end := range []func(h *vectorshift.RunHandle) error{
		func(h *vectorshift.RunHandle) error { return h.Terminate(ctx) },
		func(h *vectorshift.RunHandle) error { return client.Pipeline(h.PipelineID).Terminate(ctx, h.TaskID) },
	} {
		handle, err := pipeline.Start(ctx, runner.Inputs{"input_0": "Think for ever."}, vectorshift.RunOptions{})
		if err != nil {
			log.Fatal(err)
		}
		if err := end(handle); err != nil {
			log.Fatal(err)
		}
		status, err := handle.Status(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(status.State)
	}
	// Output:
	// cancelled
	// cancelled
}

// Stream runs the pipeline inline, and tells what its nodes make.
func ExamplePipeline_Stream() {
	_, pipeline, platform := connect()
	defer platform.Close()

	inputs := runner.Inputs{"input_0": "Tell me a fun fact about space."}
	for chunk, err := range pipeline.Stream(context.Background(), inputs, vectorshift.RunOptions{}) {
		switch {
		case err != nil:
			log.Fatal(err)
		case chunk.Type == "stream":
			fmt.Printf("[stream] %s: %q\n", chunk.OutputName, chunk.OutputValue)
		case chunk.Type == "result":
			fmt.Printf("[result] %s, run %s\n", chunk.Status, chunk.RunID)
			fmt.Println(chunk.Outputs["output_0"])
		}
	}
	// Output:
	// [stream] llm.response: "made by llm"
	// [stream] output_0: "Space "
	// [stream] output_0: "is "
	// [stream] output_0: "silent."
	// [result] succeeded, run c00000000000000000000003
	// Space is silent.
}

// RunStream gives the frames as they come: the tokens of a model, where the node of
// the model streams, and the output node is a stream<string>.
func ExamplePipeline_RunStream() {
	_, pipeline, platform := connect()
	defer platform.Close()

	inputs := runner.Inputs{"input_0": "Tell me a story about a brave adventurer"}
	for frame, err := range pipeline.RunStream(context.Background(), inputs, vectorshift.RunOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		var data struct {
			Name  string `json:"output_name"`
			Value string `json:"output_value"`
		}
		if err := json.Unmarshal([]byte(frame.Data), &data); err != nil {
			continue // a frame of another kind
		}
		if data.Name == "output_0" {
			fmt.Printf("%q ", data.Value)
		}
	}
	// Output: "Space " "is " "silent."
}

// Run waits for the end of the run in one call.
func ExamplePipeline_Run() {
	_, pipeline, platform := connect()
	defer platform.Close()

	result, err := pipeline.Run(context.Background(), runner.Inputs{"input_0": "Tell me a fun fact about space."}, vectorshift.RunOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.State, result.Outputs["output_0"])
	// Output: succeeded Space is silent.
}

// All calls of a client share its limiter, and its key is in none of its errors.
func ExampleNew() {
	_, _, platform := connect()
	defer platform.Close()

	client, err := vectorshift.New(vectorshift.Options{
		BaseURL: platform.URL,
		Key:     "a-key-that-was-revoked",
		HTTP:    &http.Client{Transport: platform.Transport()},
		Limiter: rate.NewLimiter(rate.Every(time.Minute/250), 4),
		Timeout: 30 * time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Fetch(context.Background(), vectorshift.Which{Name: "summariser"})
	var denied *runner.AuthenticationError
	fmt.Println(errors.As(err, &denied))
	fmt.Println(denied.Message)
	// Output:
	// true
	// Invalid API key
}
