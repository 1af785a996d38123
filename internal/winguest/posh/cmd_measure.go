package posh

import (
	"strings"
)

func measureEnd(c *Call) error {
	names := c.Strs("Property")
	if names == nil {
		names = []string{""}
	}
	for _, n := range names {
		if err := measureOne(c, n); err != nil {
			return err
		}
	}
	return nil
}

func measureOne(c *Call, name string) error {
	s := c.sh
	if c.On("Line") || c.On("Word") || c.On("Character") {
		var lines, words, chars int
		for _, v := range gathered(c) {
			t := s.text(v)
			chars += length16(t)
			words += len(strings.Fields(t))
			if t != "" {
				lines += strings.Count(strings.TrimSuffix(t, "\n"), "\n") + 1
			}
		}
		o := NewObject("Microsoft.PowerShell.Commands.TextMeasureInfo")
		for _, x := range []struct {
			n string
			v int
		}{{"Lines", lines}, {"Words", words}, {"Characters", chars}} {
			o.Set(x.n, nil)
			if c.On(strings.TrimSuffix(x.n, "s")) {
				o.Set(x.n, x.v)
			}
		}
		o.Set("Property", nil)
		return c.out.put(o)
	}
	count := 0
	var sum float64
	var lo, hi any
	for _, v := range gathered(c) {
		x := v
		if name != "" {
			y, ok, err := s.get(v, name)
			if err != nil {
				return err
			}
			if !ok || y == nil {
				continue
			}
			x = y
		}
		count++
		if c.On("Sum") || c.On("Average") {
			f, err := toFloat(x, "System.Double")
			if err != nil {
				if err := c.Error(&Error{ID: "NonNumericInputObject", Category: "InvalidType", Message: "Input object \"" + s.text(x) + "\" is not numeric.", Target: x}); err != nil {
					return err
				}
				continue
			}
			sum += f
		}
		if c.On("Minimum") || c.On("Maximum") {
			if isNumber(x) {
				f, _ := asFloat(x)
				x = f
			}
			for _, p := range []struct {
				at   *any
				sign int
			}{{&lo, -1}, {&hi, 1}} {
				if *p.at == nil {
					*p.at = x
					continue
				}
				o, err := s.sortOrder(x, *p.at, false)
				if err != nil {
					return err
				}
				if o*p.sign > 0 {
					*p.at = x
				}
			}
		}
	}
	o := NewObject("Microsoft.PowerShell.Commands.GenericMeasureInfo").Set("Count", count)
	put := func(n string, on bool, v any) {
		if !on {
			v = nil
		}
		o.Set(n, v)
	}
	var avg any
	if count > 0 {
		avg = sum / float64(count)
	}
	put("Average", c.On("Average"), avg)
	put("Sum", c.On("Sum"), sum)
	put("Maximum", c.On("Maximum"), hi)
	put("Minimum", c.On("Minimum"), lo)
	if name == "" {
		o.Set("Property", nil)
	} else {
		o.Set("Property", name)
	}
	return c.out.put(o)
}

func compareRun(c *Call) error {
	s := c.sh
	ref := append([]any{}, c.Values("ReferenceObject")...)
	show := func(v any, side string) error {
		if c.On("PassThru") {
			return c.out.put(v)
		}
		o := NewObject("").Set("InputObject", v).Set("SideIndicator", side)
		return c.out.put(o)
	}
	var extra, equal []any
	for _, d := range c.Values("DifferenceObject") {
		hit := false
		for i, r := range ref {
			if s.equal(r, d, c.On("CaseSensitive")) {
				ref = append(ref[:i:i], ref[i+1:]...)
				equal = append(equal, d)
				hit = true
				break
			}
		}
		if !hit {
			extra = append(extra, d)
		}
	}
	if c.On("IncludeEqual") {
		for _, v := range equal {
			if err := show(v, "=="); err != nil {
				return err
			}
		}
	}
	if c.On("ExcludeDifferent") {
		return nil
	}
	for _, v := range extra {
		if err := show(v, "=>"); err != nil {
			return err
		}
	}
	for _, v := range ref {
		if err := show(v, "<="); err != nil {
			return err
		}
	}
	return nil
}
