package render

import (
	"time"

	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/state"
)

// ShownJSON is one run.
type ShownJSON struct {
	state.Summary
	Cost CostJSON `json:"cost"` // what it costs, roughly
}

// CostJSON is what a run costs. All amounts are US dollars without taxes.
type CostJSON struct {
	Text    string         `json:"text"`              // as people are told
	USD     float64        `json:"usd"`               // so far, of what is known
	Monthly float64        `json:"monthly_usd"`       // at most, each month, for what it keeps, of what is known
	Unknown []string       `json:"unknown,omitempty"` // what is in neither
	Items   []CostItemJSON `json:"items"`
	Prices  string         `json:"prices"` // of which day they are
}

// CostItemJSON is one thing that is paid for.
type CostItemJSON struct {
	Builds  []string `json:"builds"`
	What    string   `json:"what"`
	Seconds int64    `json:"seconds,omitempty"` // for how long it was paid; left out of what is paid by the month
	USD     float64  `json:"usd"`               // for that time, or each month
	Unknown string   `json:"unknown,omitempty"` // why it is not known
}

// NewCost is a bill as programs read it.
func NewCost(b cost.Bill) CostJSON {
	spent, kept := b.Spent(), b.Kept()
	j := CostJSON{Text: b.Text(), USD: spent.USD, Monthly: kept.USD, Unknown: append(spent.Unknown, kept.Unknown...), Items: []CostItemJSON{}, Prices: b.Prices}
	if b.Unknown != "" {
		j.Unknown = []string{b.Unknown}
	}
	for _, items := range [][]cost.Item{b.Items, b.Monthly} {
		for _, x := range items {
			j.Items = append(j.Items, CostItemJSON{x.Builds, x.What, int64(x.For / time.Second), x.USD, x.Unknown})
		}
	}
	return j
}

// ForecastJSON is what a plan will cost. All amounts are US dollars without taxes.
type ForecastJSON struct {
	Text    string   `json:"text"`              // as people are told
	Hourly  float64  `json:"hourly_usd"`        // an hour of all machines together, of those that are known
	USD     float64  `json:"usd,omitempty"`     // for as long as they stood in past runs
	Seconds int64    `json:"seconds,omitempty"` // how long that was, of the one that stood longest
	Unknown []string `json:"unknown,omitempty"` // what is not in it
	Prices  string   `json:"prices"`            // of which day they are
}

// NewForecast is a forecast as programs read it; nil for a plan that launches nothing.
func NewForecast(f cost.Forecast) *ForecastJSON {
	if f.Text() == "" {
		return nil
	}
	hourly := f.Hourly()
	whole, longest, _ := f.Whole()
	j := &ForecastJSON{Text: f.Text(), Hourly: hourly.USD, USD: whole.USD, Seconds: int64(longest / time.Second), Unknown: hourly.Unknown, Prices: f.Prices}
	if f.Unknown != "" {
		j.Unknown = []string{f.Unknown}
	}
	return j
}
