package cost

import (
	"fmt"
	"testing"
	"time"
)

func TestBill(t *testing.T) {
	paid := func(usd float64) Item { return Item{USD: usd} }
	not := func(why string) Item { return Item{Unknown: why} }
	for _, c := range []struct {
		bill Bill
		want string
	}{
		{Bill{Items: []Item{paid(.0134), paid(.0071)}}, "about $0.02, by prices known on 2026-11-30"},
		{Bill{Items: []Item{paid(.002)}}, "less than $0.01, by prices known on 2026-11-30"},
		{Bill{Items: []Item{paid(.0049)}, Monthly: []Item{paid(.401)}}, "less than $0.01; at most $0.41 a month for what is kept, by prices known on 2026-11-30"},
		{Bill{Monthly: []Item{paid(.4)}}, "at most $0.40 a month for what is kept, by prices known on 2026-11-30"},
		{Bill{Monthly: []Item{paid(.1), paid(.2)}}, "at most $0.30 a month for what is kept, by prices known on 2026-11-30"}, // and no cent more
		{Bill{Items: []Item{paid(.029), not("a"), not("a"), not("b")}}, "more than $0.02 (a; b), by prices known on 2026-11-30"},
		{Bill{Items: []Item{not("a"), not("b"), not("c"), not("d"), not("e")}}, "unknown (a; b; c, and 2 more)"},
		{Bill{Monthly: []Item{not("a")}}, "unknown each month for what is kept (a)"},
		{Bill{Items: []Item{not("b")}, Monthly: []Item{paid(1), not("a")}}, "unknown (b); at most $1.00 a month for what is kept, and what is unknown (a), by prices known on 2026-11-30"},
		{Bill{Items: []Item{paid(1)}, Free: "it was local"}, "nothing: it was local"},
		{Bill{Items: []Item{paid(1)}, Unknown: "it is driven"}, "unknown: it is driven"},
		{Bill{}, "nothing that is known"},
	} {
		c.bill.Prices = "2026-11-30"
		if text := c.bill.Text(); text != c.want {
			t.Errorf("%q, want %q", text, c.want)
		}
	}
	if !(Bill{Prices: "2026-11-30"}).Empty() || (Bill{Free: "x"}).Empty() || (Bill{Monthly: []Item{not("a")}}).Empty() {
		t.Error("which bills are empty?")
	}
}

func TestForecast(t *testing.T) {
	m := func(hourly float64, minutes int) Machine {
		return Machine{Hourly: hourly, For: time.Duration(minutes) * time.Minute}
	}
	for _, c := range []struct {
		forecast Forecast
		want     string
	}{
		{Forecast{Machines: []Machine{m(.0832, 12)}, If: "with Linux"}, "about $0.02 with Linux, for 12 minutes as in past runs, by prices known on 2026-11-30"},
		{Forecast{Machines: []Machine{m(.0832, 0)}}, "about $0.08 an hour, by prices known on 2026-11-30"},
		{Forecast{Machines: []Machine{m(.1, 30), m(.1, 150)}}, "about $0.30 for 2 machines, for 2.5 hours as in past runs, by prices known on 2026-11-30"},
		{Forecast{Machines: []Machine{m(.1, 30), m(.1, 0)}}, "about $0.20 an hour for 2 machines, by prices known on 2026-11-30"},
		{Forecast{Machines: []Machine{m(.1, 1), {Unknown: "no price of x", For: time.Minute}}}, "unknown but for less than $0.01 (no price of x) for 2 machines, for 60 seconds as in past runs, by prices known on 2026-11-30"},
		{Forecast{Machines: []Machine{{Unknown: "no price of x"}}}, "unknown (no price of x)"},
		{Forecast{Machines: []Machine{m(1, 1)}, Free: "it is local"}, "nothing: it is local"},
		{Forecast{Machines: []Machine{m(1, 1)}, Unknown: "elsewhere"}, "unknown: elsewhere"},
		{Forecast{}, ""},
	} {
		c.forecast.Prices = "2026-11-30"
		if text := c.forecast.Text(); text != c.want {
			t.Errorf("%q, want %q", text, c.want)
		}
	}
}

func ExampleBill_Text() {
	b := Bill{Items: []Item{{What: "instance i-1", For: 12 * time.Minute, USD: .0832 / 5}}, Prices: "2026-11-30"}
	fmt.Println(b.Text())
	// Output: about $0.02, by prices known on 2026-11-30
}
