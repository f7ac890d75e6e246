package spec

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// decode builds the File. The schema has already reported what has the wrong
// form; such a value is passed over here, and keeps its default.
func (d *document) decode() *File {
	f := Defaults()
	f.Path, f.Redactor = d.file, d.redact
	d.text(valueOf(d.root, "results"), "path", &f.Results)
	f.Run = d.decodeRun(valueOf(d.root, "run"), f.Run)
	d.decodeRehearse(valueOf(d.root, "rehearse"), &f.Rehearse)
	f.Pipeline = d.decodePipeline(valueOf(d.root, "pipeline"))
	batches := valueOf(d.root, "batches")
	if batches != nil && batches.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(batches.Content); i += 2 {
			if n := batches.Content[i+1]; n.Kind == yaml.MappingNode {
				f.Batches = append(f.Batches, d.decodeBatch(batches.Content[i], n, f.Pipeline))
			}
		}
	}
	f.Redactor = d.redact.WithKeys(f.keys())
	return &f
}

func (d *document) decodeRun(n *yaml.Node, r Run) Run {
	d.text(n, "backend", &r.Backend)
	d.integer(n, "concurrency", &r.Concurrency)
	d.duration(n, "timeout", &r.Timeout)
	d.duration(n, "deadline", &r.Deadline)
	d.duration(n, "poll_interval", &r.PollInterval)
	if r.Backend == "vectorshift" {
		r.Rate.RequestsPerMinute = 250 // the platform's own limit
	}

	retry := valueOf(n, "retry")
	d.integer(retry, "max_attempts", &r.Retry.MaxAttempts)
	d.duration(retry, "max_elapsed", &r.Retry.MaxElapsed)
	d.text(retry, "unknown_start", &r.Retry.UnknownStart)
	d.boolean(retry, "failed_runs", &r.Retry.FailedRuns)
	backoff := valueOf(retry, "backoff")
	d.duration(backoff, "initial", &r.Retry.Backoff.Initial)
	d.number(backoff, "factor", &r.Retry.Backoff.Factor)
	d.duration(backoff, "max", &r.Retry.Backoff.Max)

	d.integer(valueOf(n, "rate"), "requests_per_minute", &r.Rate.RequestsPerMinute)

	stop := valueOf(n, "stop")
	d.integer(stop, "failures", &r.Stop.FailureCount)
	if d.percentage(stop, "failures", &r.Stop.FailureShare) && r.Stop.FailureShare == 0 {
		d.report(d.problem(valueOf(stop, "failures"), "run.stop.failures must be more than 0%%; write 1 to stop at the first failure"))
	}
	budget := valueOf(stop, "budget")
	d.number(budget, "usd", &r.Stop.BudgetUSD)
	var tokens int
	d.integer(budget, "tokens", &tokens)
	r.Stop.BudgetTokens = int64(tokens)
	if budget != nil && r.Backend == "vectorshift" {
		d.report(d.problem(keyOf(stop, "budget"), "a budget cannot be kept on backend vectorshift, as it does not tell what runs cost; failures and run.deadline can"))
	}

	d.boolean(n, "cache", &r.Cache.Enabled)
	cache := valueOf(n, "cache")
	d.text(cache, "path", &r.Cache.Path)
	d.duration(cache, "ttl", &r.Cache.TTL)

	r.Prices = d.decodePrices(valueOf(n, "prices"))

	temporal := valueOf(n, "temporal")
	d.text(temporal, "task_queue", &r.Temporal.TaskQueue)
	d.integer(temporal, "shard_size", &r.Temporal.ShardSize)
	d.text(temporal, "store", &r.Temporal.Store)
	if err := CheckStore(r.Temporal.Store); r.Temporal.Store != "" && err != nil {
		d.report(d.problem(valueOf(temporal, "store"), "run.temporal.store: %v", err))
	}
	if temporal != nil && r.Backend != "temporal" {
		d.warn(d.problem(keyOf(n, "temporal"), "run.temporal means something to backend temporal only"))
	}
	return r
}

func (d *document) decodePrices(n *yaml.Node) map[string]Price {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	prices := map[string]Price{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		var p Price
		value := n.Content[i+1]
		d.number(value, "input", &p.Input)
		d.number(value, "output", &p.Output)
		if valueOf(value, "cached_input") != nil {
			p.CachedInput = new(float64)
			d.number(value, "cached_input", p.CachedInput)
		}
		prices[n.Content[i].Value] = p
	}
	return prices
}

func (d *document) decodePipeline(n *yaml.Node) *Pipeline {
	p := &Pipeline{at: n, doc: d}
	if n == nil || n.Kind != yaml.MappingNode {
		p.at = n
		return p
	}
	d.text(n, "name", &p.Name)
	d.text(n, "id", &p.ID)
	d.text(n, "description", &p.Description)
	p.Variables, p.VariableNames = d.mapping(valueOf(n, "variables"))
	// A pipeline file cannot name another one, which might be itself.
	if path := scalarText(n, "file"); path != "" && valueOf(n, "nodes") == nil && !d.inner {
		name := p.Name
		if p = d.loadPipelineFile(valueOf(n, "file"), path); name != "" {
			p.Name = name
		}
		return p
	}
	nodes := valueOf(n, "nodes")
	if nodes == nil || nodes.Kind != yaml.MappingNode {
		return p
	}
	for i := 0; i+1 < len(nodes.Content); i += 2 {
		if value := nodes.Content[i+1]; value.Kind == yaml.MappingNode {
			p.Nodes = append(p.Nodes, d.decodeNode(nodes.Content[i], value))
		}
	}
	p.index = make(map[string]int, len(p.Nodes))
	for i, n := range p.Nodes {
		p.index[n.Name] = i
	}
	return p
}

func (d *document) decodeNode(key, n *yaml.Node) *Node {
	node := &Node{Name: key.Value, ExecutionMode: "normal", key: key, at: n, inputsAt: valueOf(n, "inputs"), doc: d}
	d.text(n, "type", &node.Type)
	d.text(n, "execution_mode", &node.ExecutionMode)
	node.Inputs, node.InputNames = d.mapping(node.inputsAt)
	node.CyclicInputs, _ = d.mapping(valueOf(n, "cyclic_inputs"))
	if node.Inputs == nil {
		node.Inputs = map[string]any{}
	}
	switch node.Type {
	case "pipeline":
		node.Sub = d.loadSub(node)
	case "transformation":
		d.loadCode(node)
	}
	return node
}

func (d *document) decodeBatch(key, n *yaml.Node, p *Pipeline) *Batch {
	b := &Batch{Name: key.Value, pipeline: p, at: n, key: key, doc: d}
	b.Map, _ = d.mapping(valueOf(n, "map"))
	d.text(n, "key", &b.Key)
	d.text(n, "session_id", &b.SessionID)
	d.text(n, "version", &b.Version)
	b.NodeInputOverrides, _ = d.mapping(valueOf(n, "node_input_overrides"))
	b.Source = d.decodeSource(n)
	return b
}

func (d *document) decodeSource(n *yaml.Node) Source {
	s := Source{doc: d}
	if list := valueOf(n, "inputs"); list != nil && list.Kind == yaml.SequenceNode {
		s.inline = list
	}
	if matrix := valueOf(n, "matrix"); matrix != nil && matrix.Kind == yaml.MappingNode {
		s.at = d.problem(matrix, "")
		keepDigits(matrix)
		values, names := d.mapping(matrix)
		for _, name := range names {
			if axis, ok := values[name].([]any); ok {
				s.axes = append(s.axes, axisOf{name, axis})
			}
		}
	}
	d.text(n, "format", &s.Format)
	switch from := valueOf(n, "from"); {
	case from == nil:
	case from.Kind == yaml.SequenceNode:
		s.from = append(s.from, from.Content...)
	default:
		s.from = []*yaml.Node{from}
	}
	return s
}

// mapping gives a map's values and its names in the author's order.
func (d *document) mapping(n *yaml.Node) (map[string]any, []string) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	v, err := schema.Value(n)
	if err != nil {
		return nil, nil // the schema has said so
	}
	var names []string
	for i := 0; i < len(n.Content); i += 2 {
		names = append(names, n.Content[i].Value)
	}
	return v.(map[string]any), names
}

func scalarText(n *yaml.Node, key string) string {
	if v := valueOf(n, key); v != nil && v.Kind == yaml.ScalarNode && v.ShortTag() != "!!null" {
		return v.Value
	}
	return ""
}

func (d *document) text(n *yaml.Node, key string, to *string) {
	if s := scalarText(n, key); s != "" {
		*to = s
	}
}

func (d *document) integer(n *yaml.Node, key string, to *int) {
	var f float64
	if v := valueOf(n, key); !readNumber(v, &f) || f != math.Trunc(f) {
		return // the schema has said so
	} else if math.Abs(f) >= 1<<53 {
		d.report(d.problem(v, "%s is too large a number", v.Value))
	} else {
		*to = int(f)
	}
}

func (d *document) number(n *yaml.Node, key string, to *float64) {
	readNumber(valueOf(n, key), to)
}

// readNumber reads every form that YAML has for a number, 5_000 and 0x10 too.
func readNumber(n *yaml.Node, to *float64) bool {
	if n == nil {
		return false
	}
	v, err := schema.Value(n)
	number, ok := v.(json.Number)
	if err != nil || !ok {
		return false
	}
	f, err := strconv.ParseFloat(string(number), 64)
	if err != nil {
		return false
	}
	*to = f
	return true
}

func (d *document) boolean(n *yaml.Node, key string, to *bool) {
	switch strings.ToLower(scalarText(n, key)) {
	case "true":
		*to = true
	case "false":
		*to = false
	}
}

func (d *document) duration(n *yaml.Node, key string, to *time.Duration) {
	text := scalarText(n, key)
	if text == "" || valueOf(n, key).ShortTag() != "!!str" {
		return // the schema has said so
	}
	duration, err := time.ParseDuration(text)
	switch {
	case err != nil && strings.Trim(text, "0123456789.hms") == "" && strings.ContainsAny(text, "hms"):
		d.report(d.problem(valueOf(n, key), "%s is too long a time", text))
	case err == nil && duration == 0:
		d.report(d.problem(valueOf(n, key), "%s must be longer than nothing", key))
	case err == nil && duration > 0:
		*to = duration
	}
}

// percentage reads a share, and tells whether it is one.
func (d *document) percentage(n *yaml.Node, key string, share *float64) bool {
	number, ok := strings.CutSuffix(scalarText(n, key), "%")
	f, err := strconv.ParseFloat(number, 64)
	switch {
	case !ok || err != nil || f < 0:
		return false
	case f > 100:
		d.report(d.problem(valueOf(n, key), "%s is more than all; the most is 100%%", scalarText(n, key)))
		return false
	}
	*share = f / 100
	return true
}
