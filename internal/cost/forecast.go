package cost

import (
	"fmt"
	"strings"
	"time"
)

// Machine is an instance that a plan will launch.
type Machine struct {
	Builds  []string
	What    string
	Hourly  float64       // US dollars
	Unknown string        // why Hourly is not known; "" when it is
	For     time.Duration // how long such a one has stood in past runs; 0: nobody knows
}

// Forecast is what a plan will cost.
type Forecast struct {
	Machines []Machine
	Prices   string // of which day the prices are
	If       string // on what the prices depend that is not known yet, such as "with Linux"; may be empty
	Free     string // why it costs nothing
	Unknown  string // why nothing is known
}

// Hourly is what an hour of all machines together costs.
func (f Forecast) Hourly() Sum {
	return f.sum(func(m Machine) float64 { return m.Hourly })
}

// Whole is what the machines cost for as long as they stood in past runs; not known
// unless that is known of each.
func (f Forecast) Whole() (s Sum, longest time.Duration, known bool) {
	for _, m := range f.Machines {
		if m.For == 0 {
			return Sum{}, 0, false
		}
		longest = max(longest, m.For)
	}
	return f.sum(func(m Machine) float64 { return m.Hourly * m.For.Hours() }), longest, true
}

func (f Forecast) sum(usd func(Machine) float64) Sum {
	items := make([]Item, len(f.Machines))
	for i, m := range f.Machines {
		items[i] = Item{USD: usd(m), Unknown: m.Unknown}
	}
	return sum(items)
}

// Text is the forecast in a line; "" for a plan that launches nothing.
func (f Forecast) Text() string {
	switch {
	case f.Free != "":
		return "nothing: " + f.Free
	case f.Unknown != "":
		return "unknown: " + f.Unknown
	case len(f.Machines) == 0:
		return ""
	}
	var b strings.Builder
	sum, longest, known := f.Whole()
	if !known {
		sum = f.Hourly()
	}
	b.WriteString(sum.Text())
	if sum.Known == 0 {
		return b.String()
	}
	if !known {
		b.WriteString(" an hour")
	}
	if len(f.Machines) > 1 {
		fmt.Fprintf(&b, " for %d machines", len(f.Machines))
	}
	if f.If != "" {
		b.WriteString(" " + f.If)
	}
	if known {
		fmt.Fprintf(&b, ", for %s as in past runs", Roughly(longest))
	}
	b.WriteString(", by prices known on " + f.Prices)
	return b.String()
}

// Roughly is a duration in whole minutes, or seconds where it is short.
func Roughly(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Round(time.Second).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("%.1f hours", d.Hours())
}
