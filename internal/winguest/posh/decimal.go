package posh

import (
	"errors"
	"math/big"
	"strings"
)

// Decimal is [decimal]: up to 28 digits, of which some stand behind the point.
type Decimal struct {
	n     *big.Int
	scale int
}

var (
	errDecimal = errors.New("Value was either too large or too small for a Decimal.")
	decimalMax = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 96), big.NewInt(1))
	ten        = big.NewInt(10)
)

func decimalOf(i int64) Decimal { return Decimal{n: big.NewInt(i)} }

func pow10(n int) *big.Int { return new(big.Int).Exp(ten, big.NewInt(int64(n)), nil) }

func parseDecimal(s string) (Decimal, error) {
	exp := 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, ok := new(big.Int).SetString(strings.TrimPrefix(s[i+1:], "+"), 10)
		if !ok || !e.IsInt64() || e.Int64() > 60 || e.Int64() < -60 {
			return Decimal{}, errDecimal
		}
		exp, s = int(e.Int64()), s[:i]
	}
	whole, frac, _ := strings.Cut(s, ".")
	n, ok := new(big.Int).SetString(whole+frac, 10)
	if !ok {
		return Decimal{}, errors.New("Input string was not in a correct format.")
	}
	d := Decimal{n, len(frac) - exp}
	if d.scale < 0 {
		d.n.Mul(d.n, pow10(-d.scale))
		d.scale = 0
	}
	return d.fit()
}

// fit rounds until the digits have room.
func (d Decimal) fit() (Decimal, error) {
	for d.scale > 28 || d.n.CmpAbs(decimalMax) > 0 && d.scale > 0 {
		d = d.round(d.scale - 1)
	}
	if d.n.CmpAbs(decimalMax) > 0 {
		return d, errDecimal
	}
	return d, nil
}

// round rounds to so many places, half to even.
func (d Decimal) round(places int) Decimal {
	if places >= d.scale {
		return d
	}
	div := pow10(d.scale - places)
	q, r := new(big.Int).QuoRem(d.n, div, new(big.Int))
	twice := new(big.Int).Mul(r.Abs(r), big.NewInt(2))
	if c := twice.Cmp(div); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(int64(d.n.Sign())))
	}
	return Decimal{q, places}
}

func align(a, b Decimal) (x, y *big.Int, scale int) {
	x, y = a.n, b.n
	switch {
	case a.scale < b.scale:
		x = new(big.Int).Mul(x, pow10(b.scale-a.scale))
	case b.scale < a.scale:
		y = new(big.Int).Mul(y, pow10(a.scale-b.scale))
	}
	return x, y, max(a.scale, b.scale)
}

func (d Decimal) add(o Decimal) Decimal {
	x, y, s := align(d, o)
	return Decimal{new(big.Int).Add(x, y), s}
}

func (d Decimal) sub(o Decimal) Decimal {
	x, y, s := align(d, o)
	return Decimal{new(big.Int).Sub(x, y), s}
}

func (d Decimal) mul(o Decimal) Decimal {
	return Decimal{new(big.Int).Mul(d.n, o.n), d.scale + o.scale}
}

func (d Decimal) div(o Decimal) Decimal {
	n := new(big.Int).Mul(d.n, pow10(29+o.scale))
	q := Decimal{n.Quo(n, o.n), 29 + d.scale}
	q, _ = q.fit()
	for q.scale > max(0, d.scale-o.scale) {
		whole, r := new(big.Int).QuoRem(q.n, ten, new(big.Int))
		if r.Sign() != 0 {
			break
		}
		q = Decimal{whole, q.scale - 1}
	}
	return q
}

func (d Decimal) rem(o Decimal) Decimal {
	x, y, s := align(d, o)
	return Decimal{new(big.Int).Rem(x, y), s}
}

func (d Decimal) cmp(o Decimal) int {
	x, y, _ := align(d, o)
	return x.Cmp(y)
}

func (d Decimal) float() float64 {
	f, _ := new(big.Rat).SetFrac(d.n, pow10(d.scale)).Float64()
	return f
}

func (d Decimal) String() string {
	s := new(big.Int).Abs(d.n).String()
	if d.scale > 0 {
		if len(s) <= d.scale {
			s = strings.Repeat("0", d.scale-len(s)+1) + s
		}
		s = s[:len(s)-d.scale] + "." + s[len(s)-d.scale:]
	}
	if d.n.Sign() < 0 {
		s = "-" + s
	}
	return s
}
