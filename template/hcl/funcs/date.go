package funcs

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/imgflow/imgflow/internal/interp"
)

func (w World) timestamp() function.Function {
	return of(cty.String, func([]cty.Value) (cty.Value, error) {
		return cty.StringVal(w.Now.UTC().Format(time.RFC3339)), nil
	})
}

// isotime is that of the older template language, with a layout as Go writes them.
func (w World) isotime() function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "layout", Type: cty.String},
		Type:     function.StaticReturnType(cty.String),
		Impl: func(a []cty.Value, _ cty.Type) (cty.Value, error) {
			switch len(a) {
			case 0:
				return cty.StringVal(w.Now.UTC().Format(time.RFC3339)), nil
			case 1:
				return cty.StringVal(w.Now.UTC().Format(a[0].AsString())), nil
			}
			return cty.NilVal, errors.New("it takes one layout")
		},
	})
}

func (w World) strftime() function.Function {
	return text(func(a []string) (string, error) { return interp.Strftime(a[0], w.Now.UTC()), nil }, "format")
}

// parsed is the type of a point in time taken apart.
func parsed(last string, t cty.Type) cty.Type {
	attrs := map[string]cty.Type{last: t, "month_name": cty.String, "weekday_name": cty.String}
	for _, n := range []string{"year", "year_day", "day", "month", "weekday", "hour", "minute", "second", "iso_year", "iso_week"} {
		attrs[n] = cty.Number
	}
	return cty.Object(attrs)
}

func takeApart(t time.Time, last string, v cty.Value) cty.Value {
	n := func(i int) cty.Value { return cty.NumberIntVal(int64(i)) }
	year, week := t.ISOWeek()
	return cty.ObjectVal(map[string]cty.Value{
		"year": n(t.Year()), "year_day": n(t.YearDay()), "month": n(int(t.Month())), "month_name": cty.StringVal(t.Month().String()),
		"day": n(t.Day()), "weekday": n(int(t.Weekday())), "weekday_name": cty.StringVal(t.Weekday().String()),
		"hour": n(t.Hour()), "minute": n(t.Minute()), "second": n(t.Second()), "iso_year": n(year), "iso_week": n(week),
		last: v,
	})
}

// rfc3339Parse takes apart a point in time as it is written, in its own offset.
var rfc3339Parse = of(parsed("unix", cty.Number), func(a []cty.Value) (cty.Value, error) {
	s := a[0].AsString()
	// RFC 3339, 5.6: a space may stand in place of the T, which Go does not take.
	if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	t, err := time.Parse(time.RFC3339, strings.ToUpper(s))
	if err != nil {
		return cty.NilVal, fmt.Errorf("%q is no time as RFC 3339 writes it, such as 2006-01-02T15:04:05Z", a[0].AsString())
	}
	return takeApart(t, "unix", cty.NumberIntVal(t.Unix())), nil
}, params(cty.String, "time")...)

// unixParse takes apart, in UTC, what is some seconds after the beginning of 1970.
var unixParse = of(parsed("rfc3339", cty.String), func(a []cty.Value) (cty.Value, error) {
	f := a[0].AsBigFloat()
	n, exact := f.Int64()
	if exact != big.Exact {
		return cty.NilVal, fmt.Errorf("%s is no whole number of seconds", f.Text('f', -1))
	}
	t := time.Unix(n, 0).UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return cty.NilVal, fmt.Errorf("%d seconds lie beyond the year 9999, or before the year 0", n)
	}
	return takeApart(t, "rfc3339", cty.StringVal(t.Format(time.RFC3339))), nil
}, params(cty.Number, "seconds")...)
