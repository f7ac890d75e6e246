package llm

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"nightshift/schema"
	"nightshift/spec"
)

// million is an answer of a million tokens each way.
var million = Answer{InputTokens: 1e6, OutputTokens: 1e6}

func TestCost(t *testing.T) {
	own := NewPriceList(map[string]spec.Price{
		"openai/gpt-5.1":     {Input: 1, CachedInput: new(0.0), Output: 8},
		"gpt-5.1":            {Input: 100, Output: 100},
		"claude-haiku-4-5":   {Input: 0.9, Output: 4.5},
		"ollama/ticket-tiny": {},
		"meta/llama":         {Input: 7, Output: 7},
	})
	builtIn := NewPriceList(nil)
	cached := Answer{InputTokens: 1e6, CachedInputTokens: 600_000, OutputTokens: 1000}
	for _, test := range []struct {
		name            string
		list            *PriceList
		provider, model string
		answer          Answer
		usd             float64
		known           bool
	}{
		{"listed", builtIn, "openai", "gpt-5.1", million, 11.25, true},
		{"listed, cached input", builtIn, "openai", "gpt-5.1", cached, 0.4*1.25 + 0.6*0.125 + 0.01, true},
		{"listed, no price for cached input", builtIn, "openai", "gpt-4o-2024-05-13", cached, 5 + 0.015, true},
		{"a date with dashes", builtIn, "openai", "gpt-4o-2024-08-06", million, 12.5, true},
		{"a date without dashes", builtIn, "anthropic", "claude-sonnet-4-5-20250929", Answer{InputTokens: 1000, OutputTokens: 1000}, 0.018, true},
		{"a date that is listed itself", builtIn, "openai", "gpt-4o-2024-05-13", million, 20, true},
		{"digits that are no date", builtIn, "openai", "gpt-4-0314", million, 0, false},
		{"a model with slashes", builtIn, "groq", "openai/gpt-oss-120b", million, 0.75, true},
		{"of another provider", builtIn, "openai", "openai/gpt-oss-120b", million, 0, false},
		{"unknown", builtIn, "openai", "gpt-99", million, 0, false},
		{"on one's own machine", builtIn, "ollama", "llama3.2", million, 0, false},
		{"at an endpoint of one's own", builtIn, "custom", "gpt-5.1", million, 0, false},
		{"no model", builtIn, "", "", million, 0, false},
		{"kept", builtIn, "openai", "gpt-5.1", Answer{InputTokens: 1e6, FromCache: true}, 0, true},
		{"kept, of an unknown model", builtIn, "openai", "gpt-99", Answer{FromCache: true}, 0, true},
		{"no tokens said", builtIn, "openai", "gpt-5.1", Answer{Text: "hello"}, 0, false},
		{"as long as an input may be", builtIn, "anthropic", "claude-haiku-5-5", Answer{InputTokens: 100_000, OutputTokens: 1e6}, 0.51, true},
		{"longer", builtIn, "anthropic", "claude-haiku-5-5", Answer{InputTokens: 200_000, CachedInputTokens: 100_000, OutputTokens: 1e6}, 0.05 + 0.005 + 2.5, true},
		{"more cached than there is", builtIn, "openai", "gpt-5.1", Answer{InputTokens: 10, CachedInputTokens: 1e6}, 10 * 0.125e-6, true},

		{"own, provider and model", own, "openai", "gpt-5.1", million, 9, true},
		{"own, cached input is free", own, "openai", "gpt-5.1", cached, 0.4 + 0.008, true},
		{"own, model", own, "custom", "gpt-5.1", million, 200, true},
		{"own, model with a date", own, "openai", "gpt-5.1-2025-11-13", million, 9, true},
		{"own, before the list", own, "anthropic", "claude-haiku-4-5-20251001", million, 5.4, true},
		{"own, free", own, "ollama", "ticket-tiny", million, 0, true},
		{"own, free, no tokens said", own, "ollama", "ticket-tiny", Answer{}, 0, true},
		{"own, model with a slash", own, "together", "meta/llama", million, 14, true},
		{"own says nothing", own, "openai", "gpt-5", million, 11.25, true},
	} {
		usd, known := test.list.Cost(test.provider, test.model, test.answer)
		if math.Abs(usd-test.usd) > 1e-9 || known != test.known {
			t.Errorf("%s: %v, %v; want %v, %v", test.name, usd, known, test.usd, test.known)
		}
	}
}

func TestPriceKnown(t *testing.T) {
	list := NewPriceList(map[string]spec.Price{"ollama/llama3.2": {}})
	for name, want := range map[string]bool{"openai/gpt-5.1": true, "openai/gpt-5.1-2025-11-13": true, "openai/gpt-99": false, "ollama/llama3.2": true, "ollama/other": false} {
		provider, model, _ := strings.Cut(name, "/")
		if got := list.Known(provider, model); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestPricesFile: the list is of models of providers that there are, and holds
// no slip of the pen that can be seen.
func TestPricesFile(t *testing.T) {
	provider, _ := schema.LookupNodeType("llm").Input("provider")
	if n := len(listPrices()); n < 80 {
		t.Errorf("only %d prices", n)
	}
	plausible := func(p spec.Price) bool {
		cachedOK := p.CachedInput == nil || *p.CachedInput > 0 && *p.CachedInput < p.Input
		return p.Input > 0 && p.Output >= p.Input && p.Output <= 100 && p.Output <= 10*p.Input && cachedOK
	}
	for key, l := range listPrices() {
		name, model, _ := strings.Cut(key, "/")
		if !slices.Contains(provider.Enum, name) || model == "" || name == "ollama" || name == "custom" {
			t.Errorf("%s: provider %q, model %q", key, name, model)
		}
		if !plausible(l.price) {
			t.Errorf("%s: %+v is not plausible", key, l.price)
		}
		if l.over == 0 && l.long != (spec.Price{}) || l.over > 0 && (l.over < 50_000 || !plausible(l.long) || l.long.Input <= l.price.Input || l.long.Output <= l.price.Output) {
			t.Errorf("%s: over %d tokens of input %+v", key, l.over, l.long)
		}
	}
	var head struct{ Date string }
	if err := yaml.Unmarshal(pricesYAML, &head); err != nil {
		t.Fatal(err)
	}
	for _, date := range append(regexp.MustCompile(`As of (\S+)\.`).FindAllStringSubmatch(string(pricesYAML), -1), []string{"", head.Date}) {
		if _, err := time.Parse(time.DateOnly, date[1]); err != nil {
			t.Error(err)
		}
	}
}

// TestCostGrows: a price is never negative, and more tokens never cost less.
func TestCostGrows(t *testing.T) {
	var keys []string
	for key := range listPrices() {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	list := NewPriceList(nil)
	rapid.Check(t, func(t *rapid.T) {
		provider, model, _ := strings.Cut(rapid.SampledFrom(keys).Draw(t, "key"), "/")
		tokens := rapid.Int64Range(1, 2_000_000)
		a := Answer{InputTokens: tokens.Draw(t, "input"), OutputTokens: tokens.Draw(t, "output")}
		a.CachedInputTokens = rapid.Int64Range(0, a.InputTokens).Draw(t, "cached")
		more := a
		more.InputTokens += tokens.Draw(t, "more input")
		more.OutputTokens += tokens.Draw(t, "more output")
		usd, known := list.Cost(provider, model, a)
		usdMore, _ := list.Cost(provider, model, more)
		if !known || usd <= 0 || usdMore <= usd {
			t.Fatalf("%s/%s: %v cost %v, %v cost %v", provider, model, a, usd, more, usdMore)
		}
	})
}

func BenchmarkCost(b *testing.B) {
	list := NewPriceList(nil)
	for b.Loop() {
		list.Cost("anthropic", "claude-sonnet-4-5-20250929", million)
	}
}
