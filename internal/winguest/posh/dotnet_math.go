package posh

import (
	"math"
)

func defineMath() {
	one := func(f func(float64) float64) func(*shell, []any) (any, error) {
		return method(func(a *args) any { a.need("Math", 1); return f(a.float(0)) })
	}
	pick := func(want int) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			if len(a) != 2 {
				return nil, overload("Max", len(a))
			}
			x, err := toNumber(a[0], "System.Double")
			if err != nil {
				return nil, err
			}
			y, err := toNumber(a[1], "System.Double")
			if err != nil {
				return nil, err
			}
			r := x
			if numberOrder(y, x) == want {
				r = y
			}
			if isFloat(x) != isFloat(y) {
				f, _ := asFloat(r)
				return f, nil
			}
			if _, l := x.(int64); l {
				n, _ := asInt(r)
				return n, nil
			}
			if _, l := y.(int64); l {
				n, _ := asInt(r)
				return n, nil
			}
			return r, nil
		}
	}
	rounding := func(f func(float64) float64, d func(Decimal) Decimal) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			if x, ok := argOr(a, 0, nil).(Decimal); ok {
				return d(x), nil
			}
			v, err := toFloat(argOr(a, 0, nil), "System.Double")
			return f(v), err
		}
	}
	floor := func(d Decimal) Decimal {
		if d.scale == 0 {
			return d
		}
		q := decimalOf(0)
		q.n.Div(d.n, pow10(d.scale))
		return q
	}
	define(&Type{name: "System.Math", props: values{"pi": constant(math.Pi), "e": constant(math.E)}, funcs: statics{
		"max": pick(1), "min": pick(-1),
		"abs": method(func(a *args) any {
			v, err := toNumber(a.any(0), "System.Double")
			if err != nil {
				a.err = err
				return nil
			}
			if numberOrder(v, int32(0)) < 0 {
				n, err := negate(v)
				a.err = err
				return n
			}
			return v
		}),
		"floor": rounding(math.Floor, floor), "ceiling": rounding(math.Ceil, func(d Decimal) Decimal {
			f := floor(d)
			if f.cmp(d) < 0 {
				return f.add(decimalOf(1))
			}
			return f
		}),
		"truncate": rounding(math.Trunc, func(d Decimal) Decimal { q := decimalOf(0); q.n.Quo(d.n, pow10(d.scale)); return q }),
		"round": func(s *shell, a []any) (any, error) {
			if len(a) == 0 || len(a) > 3 {
				return nil, overload("Round", len(a))
			}
			places, away := 0, false
			for _, v := range a[1:] {
				if t, ok := v.(string); ok {
					v, _ = s.castEnum(t, allTypes["system.midpointrounding"])
				}
				switch x := v.(type) {
				case int32:
					places = int(x)
				case enumVal:
					away = x.n == 1
				default:
					return nil, s.refuse("[math]::Round of this form")
				}
			}
			if places < 0 || places > 15 {
				return nil, dotnet("System.ArgumentOutOfRangeException", "Rounding digits must be between 0 and 15, inclusive. Parameter name: digits")
			}
			if d, ok := a[0].(Decimal); ok && !away {
				return d.round(places), nil
			}
			f, err := toFloat(a[0], "System.Double")
			if err != nil {
				return nil, err
			}
			p := math.Pow(10, float64(places))
			if away {
				return math.Round(f*p) / p, nil
			}
			return math.RoundToEven(f*p) / p, nil
		},
		"pow":  method(func(a *args) any { a.need("Pow", 2); return math.Pow(a.float(0), a.float(1)) }),
		"sqrt": one(math.Sqrt), "exp": one(math.Exp), "log10": one(math.Log10), "sin": one(math.Sin), "cos": one(math.Cos), "tan": one(math.Tan), "atan": one(math.Atan),
		"log": method(func(a *args) any {
			if len(a.a) == 2 {
				return math.Log(a.float(0)) / math.Log(a.float(1))
			}
			return math.Log(a.float(0))
		}),
		"sign":   method(func(a *args) any { return int32(cmpFloat(a.float(0), 0)) }),
		"divrem": method(func(a *args) any { a.err = a.s.refuse("[math]::DivRem"); return nil }),
	}})
}
