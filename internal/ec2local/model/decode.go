package model

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"time"
)

// Decode fills the struct that dst points to, whose fields carry the names of
// the model. Values are strings, bools, ints, float64s, time.Times, []bytes,
// structs, slices of these, or pointers to them, which stay nil for what was
// not sent. What was sent and has no field is an *Error: the endpoint does not
// have that parameter, and does not pretend to.
func Decode(v Values, dst any) error { return fill(v, reflect.ValueOf(dst).Elem(), "") }

func fill(v Values, dst reflect.Value, path string) error {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		f := dst.FieldByName(goName(name))
		if !f.IsValid() {
			return &Error{"UnsupportedOperation", fmt.Sprintf("The parameter %s is not supported by this endpoint.", join(path, name))}
		}
		if err := set(v[name], f, join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// goName is the name of a member as a Go field: a few begin with a small letter.
func goName(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

func set(v any, dst reflect.Value, path string) error {
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	switch v := v.(type) {
	case Values:
		return fill(v, dst, path)
	case []any:
		s := reflect.MakeSlice(dst.Type(), len(v), len(v))
		for i, e := range v {
			if err := set(e, s.Index(i), fmt.Sprintf("%s.%d", path, i+1)); err != nil {
				return err
			}
		}
		dst.Set(s)
	case string:
		dst.SetString(v)
	case bool:
		dst.SetBool(v)
	case int64:
		dst.SetInt(v)
	case float64:
		dst.SetFloat(v)
	case []byte:
		dst.SetBytes(v)
	case time.Time:
		dst.Set(reflect.ValueOf(v))
	}
	return nil
}

// Fits says how a struct meant for Decode differs from what the operation
// takes: fields that the model has no member for, or of another type. It is
// what the tests of a table of operations ask.
func (o *Operation) Fits(t reflect.Type) []string {
	var wrong []string
	if o.input == "" {
		if t.NumField() > 0 {
			wrong = append(wrong, o.Name+" takes no parameters")
		}
		return wrong
	}
	o.service.fits(o.input, t, o.Name, &wrong)
	return wrong
}

func (s *Service) fits(name string, t reflect.Type, path string, wrong *[]string) {
	sh := s.shapes[name]
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	bad := func() { *wrong = append(*wrong, fmt.Sprintf("%s is a %s in the model, not a Go %s", path, sh.Type, t)) }
	ok := false
	switch sh.Type {
	case "structure":
		if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
			bad()
			return
		}
		for _, f := range reflect.VisibleFields(t) {
			if f.Anonymous {
				continue
			}
			var m *member
			for name, x := range sh.Members {
				if goName(name) == f.Name {
					m = x
				}
			}
			if m == nil {
				*wrong = append(*wrong, fmt.Sprintf("%s has no member %s", path, f.Name))
				continue
			}
			s.fits(m.Shape, f.Type, path+"."+f.Name, wrong)
		}
		return
	case "list":
		if t.Kind() != reflect.Slice {
			bad()
			return
		}
		s.fits(sh.Member.Shape, t.Elem(), path+"[]", wrong)
		return
	case "string":
		ok = t.Kind() == reflect.String
	case "boolean":
		ok = t.Kind() == reflect.Bool
	case "integer", "long":
		ok = t.Kind() == reflect.Int || t.Kind() == reflect.Int64
	case "float", "double":
		ok = t.Kind() == reflect.Float64
	case "timestamp":
		ok = t == reflect.TypeFor[time.Time]()
	case "blob":
		ok = t == reflect.TypeFor[[]byte]()
	}
	if !ok {
		bad()
	}
}
