package posh

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
)

var hashes = map[string]func() hash.Hash{"SHA1": sha1.New, "SHA256": sha256.New, "SHA384": sha512.New384, "SHA512": sha512.New, "MD5": md5.New}

// hasher is a HashAlgorithm.
type hasher struct {
	typ string
	h   hash.Hash
	sum []byte
}

func (h *hasher) typeName() string { return h.typ }
func (h *hasher) String() string   { return h.typ }

func (h *hasher) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "hash":
		if h.sum == nil {
			return nil, true, dotnet("System.Security.Cryptography.CryptographicException", "Hash must be finalized before the hash value is retrieved.")
		}
		return append([]byte{}, h.sum...), true, nil
	case "hashsize":
		return int32(h.h.Size() * 8), true, nil
	}
	return nil, false, nil
}

func (h *hasher) call(s *shell, k string, v []any) (any, bool, error) {
	a := &args{s: s, a: v}
	part := func() []byte {
		b, err := s.part(a.bytes(0), a.any(1), a.any(2))
		if err != nil && a.err == nil {
			a.err = err
		}
		return b
	}
	switch k {
	case "computehash":
		h.h.Reset()
		if f, ok := a.any(0).(*stream); ok {
			if err := f.open(); err != nil {
				return nil, true, err
			}
			if err := s.copy(h.h, f.rd); err != nil {
				return nil, true, s.fileFault(err, f.name)
			}
		} else {
			b := a.bytes(0)
			if len(v) == 3 {
				b = part()
			}
			if a.err != nil {
				return nil, true, a.err
			}
			_, _ = h.h.Write(b) // a hash does not fail
		}
		h.sum = h.h.Sum(nil)
		return append([]byte{}, h.sum...), true, nil
	case "transformblock":
		a.need("TransformBlock", 5)
		b := part()
		if a.err != nil {
			return nil, true, a.err
		}
		_, _ = h.h.Write(b)
		if out, ok := a.any(3).([]byte); ok {
			if at := a.int(4); a.err == nil && at >= 0 && at+len(b) <= len(out) {
				copy(out[at:], b)
			}
		}
		return int32(len(b)), true, a.err
	case "transformfinalblock":
		a.need("TransformFinalBlock", 3)
		b := part()
		if a.err != nil {
			return nil, true, a.err
		}
		_, _ = h.h.Write(b)
		h.sum = h.h.Sum(nil)
		h.h.Reset()
		return append([]byte{}, b...), true, nil
	case "initialize":
		h.h.Reset()
		return void{}, true, nil
	case "dispose", "clear":
		return void{}, true, nil
	}
	return nil, false, nil
}

func init() {
	const ns = "System.Security.Cryptography."
	for name, f := range hashes {
		make := func(*shell, []any) (any, error) { return &hasher{typ: ns + name + "Managed", h: f()}, nil }
		define(&Type{name: ns + name, funcs: statics{"create": make}})
		for _, n := range []string{"Managed", "CryptoServiceProvider", "Cng"} {
			define(&Type{name: ns + name + n, ctor: make})
		}
		define(&Type{name: ns + "HMAC" + name, ctor: func(s *shell, a []any) (any, error) {
			var key []byte
			if len(a) > 0 {
				var err error
				if key, err = s.bytesArg(a, 0); err != nil {
					return nil, err
				}
			} else {
				return nil, s.refuse("an HMAC without a key")
			}
			return &hasher{typ: ns + "HMAC" + name, h: hmac.New(f, key)}, nil
		}})
	}
	define(&Type{name: ns + "HashAlgorithm", funcs: statics{"create": func(s *shell, a []any) (any, error) {
		name := strings.ToUpper(strings.ReplaceAll(s.text(argOr(a, 0, "SHA1")), "-", ""))
		f, ok := hashes[name]
		if !ok {
			return nil, s.refuse("the hash algorithm '%s'", name)
		}
		return &hasher{typ: ns + name + "Managed", h: f()}, nil
	}}})
	fill := func(s *shell, a []any) (any, error) {
		b, ok := argOr(a, 0, nil).([]byte)
		if !ok {
			return nil, s.refuse("GetBytes of something that is not a byte array")
		}
		_, _ = rand.Read(b) // cannot fail
		return void{}, nil
	}
	source := func(*shell, []any) (any, error) {
		o := NewObject(ns + "RNGCryptoServiceProvider")
		o.Method("GetBytes", func(a []any) (any, error) {
			if len(a) == 1 {
				if b, ok := a[0].([]byte); ok {
					_, _ = rand.Read(b)
					return void{}, nil
				}
			}
			return nil, overload("GetBytes", len(a))
		})
		o.Method("Dispose", func([]any) (any, error) { return void{}, nil })
		return o, nil
	}
	define(&Type{name: ns + "RandomNumberGenerator", funcs: statics{"create": source, "fill": fill}})
	define(&Type{name: ns + "RNGCryptoServiceProvider", ctor: source})
}
