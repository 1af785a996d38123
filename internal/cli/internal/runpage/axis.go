package runpage

import (
	"slices"
	"time"

	"github.com/imgflow/imgflow/internal/runview"
)

// width is how long an axis is, in units of its pictures.
const width = 1000

// notch is how wide the time is drawn in which nobody was at work.
const notch = 12

// axis puts moments on a line. Time in which nothing was done is a notch, however long
// it was: a run that is resumed a day later is not a line with two dots.
type axis struct {
	spells []spell
	scale  float64 // units for each second
}

// spell is a time without a break, and where it begins on the line.
type spell struct {
	from, to time.Time
	at       float64
}

// newAxis is the axis of the times in which the steps were made; those that go on do so until now.
func newAxis(steps []*runview.Step, now time.Time) axis {
	var ss []spell
	for _, s := range steps {
		for _, x := range s.Spans {
			ss = append(ss, spell{from: x.Began, to: endOf(x, now)})
		}
	}
	slices.SortFunc(ss, func(a, b spell) int { return a.from.Compare(b.from) })
	var work time.Duration
	var joined []spell
	for _, s := range ss {
		if n := len(joined); n > 0 && !s.from.After(joined[n-1].to) {
			if s.to.After(joined[n-1].to) {
				work += s.to.Sub(joined[n-1].to)
				joined[n-1].to = s.to
			}
			continue
		}
		work += s.to.Sub(s.from)
		joined = append(joined, s)
	}
	a := axis{}
	for _, s := range joined { // what is short beside the work is no break
		if n := len(a.spells); n > 0 && s.from.Sub(a.spells[n-1].to) <= max(work/10, 2*time.Second) {
			a.spells[n-1].to = s.to
			continue
		}
		a.spells = append(a.spells, s)
	}
	work = 0
	for _, s := range a.spells {
		work += s.to.Sub(s.from)
	}
	room := float64(width - notch*max(0, len(a.spells)-1))
	if len(a.spells) > width/notch/2 { // notches alone would fill it
		a.spells = []spell{{from: a.spells[0].from, to: a.spells[len(a.spells)-1].to}}
		work, room = a.spells[0].to.Sub(a.spells[0].from), width
	}
	a.scale = room / max(work.Seconds(), 0.001)
	at := 0.0
	for i, s := range a.spells {
		a.spells[i].at = at
		at += s.to.Sub(s.from).Seconds()*a.scale + notch
	}
	return a
}

func endOf(x runview.Span, now time.Time) time.Time {
	if !x.Ended.IsZero() {
		now = x.Ended
	}
	if now.Before(x.Began) {
		return x.Began
	}
	return now
}

// x is where a moment stands on the line.
func (a axis) x(t time.Time) float64 {
	i, exact := slices.BinarySearchFunc(a.spells, t, func(s spell, t time.Time) int { return s.from.Compare(t) })
	if !exact {
		i--
	}
	if i < 0 {
		return 0
	}
	s := a.spells[min(i, len(a.spells)-1)]
	if t.After(s.to) {
		t = s.to
	}
	return s.at + t.Sub(s.from).Seconds()*a.scale
}

// breaks are the times in which nobody was at work.
func (a axis) breaks() (bs []Bar) {
	for i := 1; i < len(a.spells); i++ {
		bs = append(bs, Bar{X: round(a.spells[i].at - notch), W: notch, Class: "break"})
	}
	return bs
}

// work is how long the run was at work.
func (a axis) work() (d time.Duration) {
	for _, s := range a.spells {
		d += s.to.Sub(s.from)
	}
	return d
}

func round(f float64) float64 { return float64(int(f*10+0.5)) / 10 }
