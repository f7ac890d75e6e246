package llm

import (
	"bytes"
	_ "embed"
	"fmt"
	"sync"

	"gopkg.in/yaml.v3"

	"nightshift/spec"
)

//go:embed prices.yaml
var pricesYAML []byte

// PriceList knows what models cost: by what the batch file says of them, else by
// their providers' list prices.
type PriceList struct{ own map[string]spec.Price }

// NewPriceList makes a list in which own prices, keyed "provider/model" or
// "model", come before the list prices. A model whose name ends in a date has
// the price of the name without it, where there is none of the whole name.
func NewPriceList(own map[string]spec.Price) *PriceList { return &PriceList{own} }

// Known tells whether the model has a price.
func (p *PriceList) Known(provider, model string) bool {
	_, known := p.lookup(provider, model)
	return known
}

// Cost gives what an answer cost, in US dollars. It is not known where the model
// has no price, or where the provider did not say how many tokens it took.
func (p *PriceList) Cost(provider, model string, a Answer) (usd float64, known bool) {
	if a.FromCache {
		return 0, true
	}
	listed, known := p.lookup(provider, model)
	price := listed.of(a.InputTokens)
	free := price.Input == 0 && price.Output == 0
	if !known || a.InputTokens == 0 && a.OutputTokens == 0 && !free {
		return 0, false
	}
	cached, cachedInput := min(a.CachedInputTokens, a.InputTokens), price.Input
	if price.CachedInput != nil {
		cachedInput = *price.CachedInput
	}
	millionths := float64(a.InputTokens-cached)*price.Input + float64(cached)*cachedInput + float64(a.OutputTokens)*price.Output
	return millionths / 1e6, true
}

// dated is the end of a model's name that says which of its versions is meant,
// as in gpt-4o-2024-08-06 and claude-sonnet-4-5-20250929.
var dated = spec.Pattern(`-20\d\d(-\d\d-\d\d|\d{4})$`)

func (p *PriceList) lookup(provider, model string) (listPrice, bool) {
	undated := dated().ReplaceAllString(model, "")
	for _, name := range []string{model, undated} {
		for _, key := range []string{provider + "/" + name, name} {
			if price, ok := p.own[key]; ok {
				return listPrice{price: price}, true
			}
		}
		if price, ok := listPrices()[provider+"/"+name]; ok {
			return price, true
		}
	}
	return listPrice{}, false
}

// listPrice is what a provider takes; that of long inputs is for the whole call.
type listPrice struct {
	price spec.Price
	over  int64 // tokens of input past which long is the price; 0: it never is
	long  spec.Price
}

func (l listPrice) of(inputTokens int64) spec.Price {
	if l.over > 0 && inputTokens > l.over {
		return l.long
	}
	return l.price
}

// listPrices are those of prices.yaml, by "provider/model". They are read when a
// price is first asked for, as most commands never do.
var listPrices = sync.OnceValue(func() map[string]listPrice {
	type price struct {
		Input       float64  `yaml:"input"`
		CachedInput *float64 `yaml:"cached_input"`
		Output      float64  `yaml:"output"`
	}
	var file struct {
		Date   string
		Models map[string]struct {
			price `yaml:",inline"`
			Long  struct {
				Over  int64
				price `yaml:",inline"`
			}
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(pricesYAML))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		panic(fmt.Sprintf("llm: prices.yaml: %v", err)) // it is embedded, so a mistake in it is a bug
	}
	all := make(map[string]listPrice, len(file.Models))
	for key, m := range file.Models {
		all[key] = listPrice{spec.Price(m.price), m.Long.Over, spec.Price(m.Long.price)}
	}
	return all
})
