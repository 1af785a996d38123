package posh

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
)

func defineConvert() {
	to := func(name string) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			if len(a) == 2 {
				base, err := s.toInt32(a[1])
				if err != nil {
					return nil, err
				}
				text, isText := a[0].(string)
				if !isText {
					return nil, s.refuse("[Convert] with a number and a base")
				}
				if base == 16 {
					text = strings.TrimPrefix(strings.TrimPrefix(text, "0x"), "0X")
				}
				bits := map[string]int{"System.Int32": 32, "System.Int64": 64, "System.Byte": 8, "System.UInt32": 32, "System.UInt64": 64, "System.Int16": 16, "System.UInt16": 16}[name]
				n, err := strconv.ParseUint(text, int(base), bits)
				if err != nil {
					return nil, dotnet("System.FormatException", "Could not find any recognizable digits.")
				}
				switch name {
				case "System.Int32":
					return int32(uint32(n)), nil
				case "System.Int64":
					return int64(n), nil
				case "System.Int16":
					return int16(uint16(n)), nil
				}
				return s.castTo(int64(n), allTypes[strings.ToLower(name)])
			}
			if len(a) != 1 {
				return nil, overload("To"+name[7:], len(a))
			}
			if t, ok := a[0].(string); ok {
				return allTypes[strings.ToLower(name)].funcs["parse"](s, []any{t})
			}
			v, err := s.castTo(a[0], allTypes[strings.ToLower(name)])
			if err != nil && !s.passes(err) {
				e := asError(err)
				for e.inner != nil { // no conversion of the language
					e = e.inner
				}
				return nil, e
			}
			return v, err
		}
	}
	f := statics{
		"frombase64string": method(func(a *args) any {
			a.need("FromBase64String", 1)
			b, err := fromBase64(a.text(0))
			if err != nil {
				a.err = err
			}
			return b
		}),
		"tobase64string": method(func(a *args) any {
			b := a.bytes(0)
			if len(a.a) >= 3 {
				p, err := a.s.part(b, a.a[1], a.a[2])
				if err != nil {
					a.err = err
					return nil
				}
				b = p
			} else if len(a.a) == 2 {
				a.err = a.s.refuse("ToBase64String with options")
			}
			return base64.StdEncoding.EncodeToString(b)
		}),
		"tostring": func(s *shell, a []any) (any, error) {
			if len(a) == 2 {
				if base, ok := a[1].(int32); ok {
					n, isInt := asInt(a[0])
					if !isInt || base != 2 && base != 8 && base != 10 && base != 16 {
						return nil, dotnet("System.ArgumentException", "Invalid Base.")
					}
					u := uint64(n)
					if _, is32 := a[0].(int32); is32 {
						u = uint64(uint32(n))
					}
					if base == 10 {
						return strconv.FormatInt(n, 10), nil
					}
					return strconv.FormatUint(u, int(base)), nil
				}
				return nil, s.refuse("[Convert]::ToString with a format provider")
			}
			return s.text(argOr(a, 0, nil)), nil
		},
		"toboolean": func(s *shell, a []any) (any, error) {
			if t, ok := argOr(a, 0, nil).(string); ok {
				return allTypes["system.boolean"].funcs["parse"](s, []any{t})
			}
			return truth(argOr(a, 0, nil)), nil
		},
		"tochar":     func(s *shell, a []any) (any, error) { return s.castTo(argOr(a, 0, nil), allTypes["system.char"]) },
		"todatetime": func(s *shell, a []any) (any, error) { return s.castTo(argOr(a, 0, nil), allTypes["system.datetime"]) },
		"changetype": func(s *shell, a []any) (any, error) {
			if len(a) != 2 {
				return nil, overload("ChangeType", len(a))
			}
			t, err := s.typeArg(a[1])
			if err != nil {
				return nil, err
			}
			return s.castTo(a[0], t)
		},
	}
	for k, n := range map[string]string{"toint32": "System.Int32", "toint64": "System.Int64", "toint16": "System.Int16", "touint16": "System.UInt16", "touint32": "System.UInt32",
		"touint64": "System.UInt64", "tobyte": "System.Byte", "todouble": "System.Double", "tosingle": "System.Single", "todecimal": "System.Decimal"} {
		f[k] = to(n)
	}
	define(&Type{name: "System.Convert", funcs: f})
	define(&Type{name: "System.BitConverter", props: values{"islittleendian": constant(true)}, funcs: statics{
		"tostring": method(func(a *args) any {
			b := a.bytes(0)
			if len(a.a) == 3 {
				p, err := a.s.part(b, a.a[1], a.a[2])
				if err != nil {
					a.err = err
				}
				b = p
			} else if len(a.a) == 2 {
				b = b[min(max(a.int(1), 0), len(b)):]
			}
			h := strings.ToUpper(hex.EncodeToString(b))
			var t strings.Builder
			for i := 0; i < len(h); i += 2 {
				if i > 0 {
					t.WriteByte('-')
				}
				t.WriteString(h[i : i+2])
			}
			return t.String()
		}),
		"getbytes": method(func(a *args) any {
			a.need("GetBytes", 1)
			switch x := a.any(0).(type) {
			case int32:
				return binary.LittleEndian.AppendUint32(nil, uint32(x))
			case uint32:
				return binary.LittleEndian.AppendUint32(nil, x)
			case int64:
				return binary.LittleEndian.AppendUint64(nil, uint64(x))
			case uint64:
				return binary.LittleEndian.AppendUint64(nil, x)
			case int16:
				return binary.LittleEndian.AppendUint16(nil, uint16(x))
			case uint16:
				return binary.LittleEndian.AppendUint16(nil, x)
			case float64:
				return binary.LittleEndian.AppendUint64(nil, math.Float64bits(x))
			case Char:
				return binary.LittleEndian.AppendUint16(nil, uint16(x))
			case bool:
				return []byte{byte(boolInt(x))}
			}
			a.err = a.s.refuse("[BitConverter]::GetBytes of %s", typeNameOf(a.any(0)))
			return nil
		}),
		"toint32":  bits(4, func(b []byte) any { return int32(binary.LittleEndian.Uint32(b)) }),
		"touint32": bits(4, func(b []byte) any { return binary.LittleEndian.Uint32(b) }),
		"toint64":  bits(8, func(b []byte) any { return int64(binary.LittleEndian.Uint64(b)) }),
		"touint64": bits(8, func(b []byte) any { return binary.LittleEndian.Uint64(b) }),
		"toint16":  bits(2, func(b []byte) any { return int16(binary.LittleEndian.Uint16(b)) }),
		"touint16": bits(2, func(b []byte) any { return binary.LittleEndian.Uint16(b) }),
	}})
}

func bits(n int, f func([]byte) any) func(*shell, []any) (any, error) {
	return method(func(a *args) any {
		b, i := a.bytes(0), a.int(1)
		if a.err == nil && (i < 0 || i+n > len(b)) {
			a.err = dotnet("System.ArgumentException", "Destination array is not long enough to copy all the items in the collection. Check array index and length.")
		}
		if a.err != nil {
			return nil
		}
		return f(b[i:])
	})
}

// fromBase64 skips white space, as .NET does.
func fromBase64(t string) ([]byte, error) {
	if strings.ContainsAny(t, " \t\r\n") {
		t = strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t\r\n", r) {
				return -1
			}
			return r
		}, t)
	}
	b, err := base64.StdEncoding.DecodeString(t)
	if err != nil {
		if len(t)%4 != 0 {
			return nil, dotnet("System.FormatException", "Invalid length for a Base-64 char array or string.")
		}
		return nil, dotnet("System.FormatException", "The input is not a valid Base-64 string as it contains a non-base 64 character, more than two padding characters, or an illegal character among the padding characters.")
	}
	return b, nil
}
