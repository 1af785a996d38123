package posh

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// A small model of the language, written apart from the evaluator, from the
// language specification (chapters 6 to 8) and about_Operators, about_Booleans,
// about_Comparison_Operators, about_Arrays and about_Scopes. Its values are nil
// ($null), nothing, bool, int32, float64, string and []any.
type nothing struct{}

// errModel is a program that PowerShell stops with an error, or of which the model
// does not know what it does: it is not generated.
var errModel = errors.New("outside of the model")

func mPlain(v any) any {
	if v == (nothing{}) {
		return nil
	}
	return v
}

func mArr(v any) ([]any, bool) { a, ok := v.([]any); return a, ok }

func mText(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int32:
		return strconv.Itoa(int(v))
	case float64:
		return strconv.FormatFloat(v+0, 'f', -1, 64) // -0 is written as 0
	case string:
		return v
	case []any:
		return mJoin(v, " ")
	}
	return ""
}

func mJoin(l []any, sep string) string {
	var t []string
	for _, x := range l {
		if _, nested := mArr(x); nested {
			t = append(t, "System.Object[]")
			continue
		}
		t = append(t, mText(x))
	}
	return strings.Join(t, sep)
}

func mTruth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case int32:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case []any:
		if len(v) == 1 {
			if a, nested := mArr(v[0]); nested {
				return len(a) > 0
			}
			return mTruth(v[0])
		}
		return len(v) > 1
	}
	return false
}

// mNum is a value as int32 or float64.
func mNum(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return int32(0), nil
	case bool:
		if v {
			return int32(1), nil
		}
		return int32(0), nil
	case int32, float64:
		return v, nil
	case string:
		if v == "" {
			return int32(0), nil
		}
		if n, err := strconv.ParseInt(v, 10, 32); err == nil {
			return int32(n), nil
		}
	}
	return nil, errModel
}

func mFloat(v any) float64 {
	if n, ok := v.(int32); ok {
		return float64(n)
	}
	return v.(float64)
}

func mInt(v any) (int, error) {
	n, err := mNum(v)
	if err != nil {
		return 0, err
	}
	f := math.RoundToEven(mFloat(n))
	if math.Abs(f) > 1e6 {
		return 0, errModel
	}
	return int(f), nil
}

func mArith(op string, a, b any) (any, error) {
	l, isArr := mArr(a)
	str, isText := a.(string)
	_, bArr := mArr(b)
	switch {
	case op == "+" && a == nil:
		return b, nil
	case op == "+" && isText:
		return str + mText(b), nil
	case op == "+" && isArr:
		out := append([]any{}, l...)
		if r, ok := mArr(b); ok {
			return append(out, r...), nil
		}
		return append(out, b), nil
	case op == "*" && a == nil:
		return nil, nil
	case op == "*" && (isText || isArr):
		if bArr {
			return nil, errModel
		}
		n, err := mInt(b)
		if err != nil || n < 0 || n > 20 {
			return nil, errModel
		}
		if isText {
			return strings.Repeat(str, n), nil
		}
		out := []any{}
		for range n {
			out = append(out, l...)
		}
		return out, nil
	case isArr || bArr:
		return nil, errModel
	}
	x, err1 := mNum(a)
	y, err2 := mNum(b)
	if err1 != nil || err2 != nil {
		return nil, errModel
	}
	i, xi := x.(int32)
	j, yi := y.(int32)
	var f float64
	switch op {
	case "+":
		f = mFloat(x) + mFloat(y)
	case "-":
		f = mFloat(x) - mFloat(y)
	case "*":
		f = mFloat(x) * mFloat(y)
	case "/", "%":
		if mFloat(y) == 0 {
			return nil, errModel
		}
		if f = mFloat(x) / mFloat(y); op == "%" {
			f = math.Mod(mFloat(x), mFloat(y))
		}
	}
	if math.Abs(f) > 1e14 || f != math.Trunc(f*8)/8 { // other doubles are for the formatter's tests
		return nil, errModel
	}
	if xi && yi && f == math.Trunc(f) && f >= math.MinInt32 && f <= math.MaxInt32 {
		_, _ = i, j
		return int32(f), nil
	}
	return f, nil
}

func mEqual(a, b any) bool {
	switch x := a.(type) {
	case nil:
		return b == nil
	case string:
		return b != nil && strings.EqualFold(x, mText(b))
	case bool:
		return b != nil && x == mTruth(b)
	}
	if b == nil {
		return false
	}
	n, err := mNum(b)
	return err == nil && mFloat(a) == mFloat(n)
}

// mOrder compares where the model knows the order.
func mOrder(a, b any) (int, error) {
	if t, ok := a.(string); ok && b != nil {
		if _, arr := mArr(b); arr || strings.ContainsAny(t+mText(b), "-|. ") { // signs have a culture's order
			return 0, errModel
		}
		return strings.Compare(strings.ToLower(t), strings.ToLower(mText(b))), nil
	}
	_, isBool := a.(bool)
	if a == nil || b == nil || isBool {
		return 0, errModel
	}
	x, err1 := mNum(a)
	y, err2 := mNum(b)
	if err1 != nil || err2 != nil {
		return 0, errModel
	}
	switch d := mFloat(x) - mFloat(y); {
	case d < 0:
		return -1, nil
	case d > 0:
		return 1, nil
	}
	return 0, nil
}

func mTest(op string, a, b any) (bool, error) {
	switch op {
	case "-eq":
		return mEqual(a, b), nil
	case "-ne":
		return !mEqual(a, b), nil
	}
	c, err := mOrder(a, b)
	return op == "-lt" && c < 0 || op == "-le" && c <= 0 || op == "-gt" && c > 0 || op == "-ge" && c >= 0, err
}

func mBinary(op string, a, b any) (any, error) {
	switch op {
	case "+", "-", "*", "/", "%":
		return mArith(op, a, b)
	case "-xor":
		return mTruth(a) != mTruth(b), nil
	case "..":
		i, err1 := mInt(a)
		j, err2 := mInt(b)
		if err1 != nil || err2 != nil || i-j > 9 || j-i > 9 {
			return nil, errModel
		}
		out := []any{int32(i)}
		for i != j {
			if i < j {
				i++
			} else {
				i--
			}
			out = append(out, int32(i))
		}
		return out, nil
	case "-join":
		l, ok := mArr(a)
		if !ok {
			return mText(a), nil
		}
		return mJoin(l, mText(b)), nil
	case "-contains", "-notcontains", "-in", "-notin":
		if strings.HasSuffix(op, "in") {
			a, b = b, a
		}
		l, ok := mArr(a)
		if !ok {
			l = []any{a}
		}
		hit := false
		for _, x := range l {
			if _, nested := mArr(x); nested {
				return nil, errModel
			}
			hit = hit || mEqual(x, b)
		}
		return hit != strings.HasPrefix(op, "-not"), nil
	}
	l, ok := mArr(a)
	if !ok {
		return mTest(op, a, b)
	}
	out := []any{}
	for _, x := range l {
		if _, nested := mArr(x); nested {
			return nil, errModel
		}
		ok, err := mTest(op, x, b)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, x)
		}
	}
	return out, nil
}

func mIndex(a, i any) (any, error) {
	l, ok := mArr(a)
	if !ok {
		return nil, errModel
	}
	at := func(i any) (any, bool, error) {
		if i == nil {
			return nil, false, errModel
		}
		n, err := mInt(i)
		if n < 0 {
			n += len(l)
		}
		if err != nil || n < 0 || n >= len(l) {
			return nil, false, err
		}
		return l[n], true, nil
	}
	many, ok := mArr(i)
	if !ok {
		v, _, err := at(i)
		return v, err
	}
	out := []any{}
	for _, x := range many {
		v, there, err := at(x)
		if err != nil {
			return nil, err
		}
		if there {
			out = append(out, v)
		}
	}
	return out, nil
}

// mCollect is what an assignment takes of a pipeline's output.
func mCollect(out []any) any {
	switch len(out) {
	case 0:
		return nothing{}
	case 1:
		return out[0]
	}
	return out
}

func mElements(v any) []any {
	if l, ok := mArr(v); ok {
		return l
	}
	return []any{v}
}
