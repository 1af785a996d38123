package cost

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Item is one thing that is paid for.
type Item struct {
	Builds  []string
	What    string        // such as "instance i-1: m5.large with Linux in eu-west-1"
	For     time.Duration // how long it was paid for; 0 of one that is paid by the month
	USD     float64
	Unknown string // why USD is not known; "" when it is
}

// Bill is what a run costs.
type Bill struct {
	Items   []Item // what it has cost so far
	Monthly []Item // what each month of that which it keeps costs at most
	Prices  string // of which day the prices are
	Free    string // why it costs nothing: nothing else is told then
	Unknown string // why nothing is known of it: nothing else is told then
}

// Empty tells whether nothing was paid for, as far as anybody knows.
func (b Bill) Empty() bool { return len(b.Items)+len(b.Monthly) == 0 && b.Free+b.Unknown == "" }

// Spent is what the run has cost so far.
func (b Bill) Spent() Sum { return sum(b.Items) }

// Kept is what a month of that which it keeps costs at most.
func (b Bill) Kept() Sum { return sum(b.Monthly) }

// Text is the bill in a line.
func (b Bill) Text() string {
	switch {
	case b.Free != "":
		return "nothing: " + b.Free
	case b.Unknown != "":
		return "unknown: " + b.Unknown
	case b.Empty():
		return "nothing that is known"
	}
	var parts []string
	if len(b.Items) > 0 {
		parts = append(parts, b.Spent().Text())
	}
	if len(b.Monthly) > 0 {
		parts = append(parts, b.Kept().Monthly())
	}
	return strings.Join(parts, "; ") + b.dated()
}

// dated says of which day the prices are, where one is in the bill.
func (b Bill) dated() string {
	if b.Spent().Known+b.Kept().Known == 0 {
		return ""
	}
	return ", by prices known on " + b.Prices
}

// Sum is what items come to.
type Sum struct {
	USD     float64  // of those that are known
	Known   int      // how many are
	Unknown []string // why others are not, each reason once
}

func sum(items []Item) (s Sum) {
	for _, x := range items {
		if x.Unknown == "" {
			s.USD += x.USD
			s.Known++
		} else if !slices.Contains(s.Unknown, x.Unknown) {
			s.Unknown = append(s.Unknown, x.Unknown)
		}
	}
	return s
}

// Text is what was paid.
func (s Sum) Text() string {
	switch {
	case s.Known == 0 && len(s.Unknown) > 0:
		return "unknown (" + s.reasons() + ")"
	case len(s.Unknown) > 0 && s.USD < 0.01:
		return "unknown but for less than $0.01 (" + s.reasons() + ")"
	case len(s.Unknown) > 0:
		return "more than " + USD(math.Floor(s.USD*100)/100) + " (" + s.reasons() + ")"
	}
	return About(s.USD)
}

// Monthly is what is to be paid each month for what is kept.
func (s Sum) Monthly() string {
	switch {
	case s.Known == 0 && len(s.Unknown) > 0:
		return "unknown each month for what is kept (" + s.reasons() + ")"
	case len(s.Unknown) > 0:
		return AtMost(s.USD) + " a month for what is kept, and what is unknown (" + s.reasons() + ")"
	}
	return AtMost(s.USD) + " a month for what is kept"
}

// mostReasons bounds how many reasons a line has.
const mostReasons = 3

func (s Sum) reasons() string {
	if more := len(s.Unknown) - mostReasons; more > 0 {
		return fmt.Sprintf("%s, and %d more", strings.Join(s.Unknown[:mostReasons], "; "), more)
	}
	return strings.Join(s.Unknown, "; ")
}

// About is an amount that is roughly right.
func About(usd float64) string {
	if usd < 0.005 {
		return "less than $0.01"
	}
	return "about " + USD(usd)
}

// AtMost is an upper bound, in cents that are rounded up.
func AtMost(usd float64) string { return "at most " + USD(math.Ceil(usd*100-1e-6)/100) }

// USD is an amount in dollars and cents.
func USD(usd float64) string { return fmt.Sprintf("$%.2f", usd) }
