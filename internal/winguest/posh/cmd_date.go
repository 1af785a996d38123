package posh

import (
	"math/rand/v2"
	"strings"
	"time"
)

func getDate(c *Call) error {
	s := c.sh
	t, ok := c.Value("Date").(time.Time)
	if !ok {
		t = s.now()
	}
	pick := func(n string, v int) int {
		if c.Has(n) {
			return c.Int(n)
		}
		return v
	}
	t = time.Date(pick("Year", t.Year()), time.Month(pick("Month", int(t.Month()))), pick("Day", t.Day()), pick("Hour", t.Hour()), pick("Minute", t.Minute()), pick("Second", t.Second()), t.Nanosecond(), t.Location())
	switch {
	case c.Has("UFormat"):
		f := c.Str("UFormat")
		var b strings.Builder
		for i := 0; i < len(f); i++ {
			if f[i] != '%' || i+1 >= len(f) {
				b.WriteByte(f[i])
				continue
			}
			i++
			l, ok := map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'B': "January", 'b': "Jan", 'A': "Monday", 'a': "Mon", 'p': "PM", 'I': "03", 'T': "15:04:05"}[f[i]]
			if !ok {
				return s.refuse("Get-Date -UFormat %%%c", f[i])
			}
			b.WriteString(t.Format(l))
		}
		return c.out.put(b.String())
	case c.Has("Format"):
		f := c.Str("Format")
		u := map[string]string{"filedate": "yyyyMMdd", "filedatetime": "yyyyMMddTHHmmssffff", "filedateuniversal": "yyyyMMddZ", "filedatetimeuniversal": "yyyyMMddTHHmmssffffZ"}
		if x, ok := u[strings.ToLower(f)]; ok {
			if strings.HasSuffix(strings.ToLower(f), "universal") {
				t = s.fromZone(t).In(time.UTC)
			}
			f = strings.NewReplacer("T", "'T'", "Z", "'Z'").Replace(x)
		}
		r, err := s.formatTime(t, f)
		if err != nil {
			return err
		}
		return c.out.put(r)
	}
	return c.out.put(t)
}

func getRandom(c *Call) error {
	s := c.sh
	if s.random == nil {
		s.random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if c.Has("SetSeed") {
		return s.refuse("Get-Random -SetSeed")
	}
	if in := gathered(c); len(in) > 0 {
		n := 1
		if c.Has("Count") {
			n = min(c.Int("Count"), len(in))
		}
		for _, i := range s.random.Perm(len(in))[:max(0, n)] {
			if err := c.out.put(in[i]); err != nil {
				return err
			}
		}
		return nil
	}
	lo, hi := c.Value("Minimum"), c.Value("Maximum")
	if isFloat(lo) || isFloat(hi) {
		a, err := toFloat(lo, "System.Double")
		if err != nil {
			return err
		}
		b, err := toFloat(hi, "System.Double")
		if err != nil {
			return err
		}
		return c.out.put(a + s.random.Float64()*(b-a))
	}
	a, err := toInt(lo, "System.Int64", -1<<62, 1<<62)
	if err != nil {
		return err
	}
	b := int64(1<<31 - 1)
	if hi != nil {
		if b, err = toInt(hi, "System.Int64", -1<<62, 1<<62); err != nil {
			return err
		}
	}
	if a >= b {
		return &Error{ID: "MinGreaterThanOrEqualMax", Category: "InvalidArgument", Message: "The Minimum value (" + toText(a) + ") cannot be greater than or equal to the Maximum value (" + toText(b) + ").", Exception: "System.ArgumentException"}
	}
	v := a + s.random.Int64N(b-a)
	if v >= -1<<31 && v < 1<<31 {
		return c.out.put(int32(v))
	}
	return c.out.put(v)
}
