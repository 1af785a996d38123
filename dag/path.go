package dag

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// CheckPath tells what is wrong with a path into outputs of a type: see [Path].
func CheckPath[T any](path string) error {
	t := reflect.TypeFor[T]()
	for _, name := range strings.Split(path, ".") {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Struct:
			f, ok := t.FieldByName(name)
			if !ok || !f.IsExported() {
				return fmt.Errorf("cannot refer to %s: a %s has no %s", path, t, name)
			}
			t = f.Type
		case reflect.Map:
			if t.Key().Kind() != reflect.String {
				return fmt.Errorf("cannot refer to %s: the keys of a %s are no texts", path, t)
			}
			t = t.Elem()
		case reflect.Slice, reflect.Array:
			if n, err := strconv.Atoi(name); err != nil || n < 0 {
				return fmt.Errorf("cannot refer to %s: %q is no place in a list", path, name)
			}
			t = t.Elem()
		default:
			return fmt.Errorf("cannot refer to %s: a %s has no parts", path, t)
		}
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array:
		return fmt.Errorf("cannot refer to %s: a %s is no text", path, t)
	}
	return nil
}

// textAt is what stands at a path that fits the type.
func textAt(v reflect.Value, path string) (string, error) {
	missing := fmt.Errorf("there is no %s in what was made", path)
	for _, name := range strings.Split(path, ".") {
		if v = reflect.Indirect(v); !v.IsValid() {
			return "", missing
		}
		switch v.Kind() {
		case reflect.Struct:
			f, ok := v.Type().FieldByName(name)
			if !ok || !f.IsExported() {
				return "", missing
			}
			inner, err := v.FieldByIndexErr(f.Index)
			if err != nil {
				return "", missing
			}
			v = inner
		case reflect.Map:
			v = v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key()))
		case reflect.Slice, reflect.Array:
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= v.Len() {
				return "", missing
			}
			v = v.Index(n)
		default:
			return "", missing
		}
	}
	if v = reflect.Indirect(v); !v.IsValid() {
		return "", missing
	}
	return fmt.Sprint(v.Interface()), nil
}
