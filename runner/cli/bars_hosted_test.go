//go:build bench

package cli

import (
	"fmt"
	"time"

	"nightshift/runner/vectorshift/vectorshifttest"
)

// hosted measures how a platform is asked about runs that take a minute.
func (b *bench) hosted() {
	const runs, takes = 64, time.Minute
	server := vectorshifttest.New()
	defer server.Close()
	server.Set(vectorshifttest.Settings{Takes: func(vectorshifttest.Run) time.Duration { return takes }})
	file := b.write("minutes.yaml", fmt.Sprintf(`version: 1
pipeline:
  name: minutes
  nodes:
    in: {type: input}
    out: {type: output, inputs: {value: "{{ in.text }}"}}
run: {backend: vectorshift, concurrency: %d, rate: {requests_per_minute: 250}}
batches:
  minutes: {from: minutes.csv, key: "{{ row.in }}"}
`, runs))
	rows := "in\n"
	for i := range runs {
		rows += fmt.Sprintln(i)
	}
	b.write("minutes.csv", rows)
	b.Setenv("VECTORSHIFT_BASE_URL", server.URL)
	b.Setenv("VECTORSHIFT_API_KEY", server.Key)
	p := b.run("", b.command, "run", file, "--quiet")
	most, looks := 0, 0
	for _, r := range server.Runs() {
		most, looks = max(most, r.Looks), looks+r.Looks
	}
	busiest := server.Busiest(time.Minute)
	b.row(fmt.Sprintf("%d hosted runs of %v, 250 calls/min: status calls of a run", runs, takes), fmt.Sprintf("%d, on average %.1f", most, float64(looks)/runs), "<= 6", most <= 6 && len(server.Runs()) == runs)
	const atMost = 250 + 250/60 + 4 // those of the first second may come at once, and the save is before them all
	b.row("  calls of all kinds in the busiest minute", fmt.Sprint(busiest), fmt.Sprint("<= ", atMost), busiest <= atMost)
	b.row("  until all have ended", fmt.Sprintf("%.0f s", p.wall.Seconds()), "-", true)
}
