package state

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	const secret = "p@ss 'wo\"rd`$x\\y&<z>/é+%"
	var r Redactor
	if s := r.Redact(secret); s != secret {
		t.Errorf("without secrets: %q", s)
	}
	r.Add(secret)
	r.Add("abc") // too short
	js, _ := json.Marshal(secret)
	b64 := base64.StdEncoding.EncodeToString
	for name, form := range map[string]string{
		"raw":           secret,
		"json":          string(js),
		"go":            strconv.Quote(secret),
		"query":         url.QueryEscape(secret),
		"path":          url.PathEscape(secret),
		"percent":       strings.ToLower(strings.ReplaceAll(url.QueryEscape(secret), "+", "%20")),
		"single":        `'` + strings.ReplaceAll(secret, `'`, `'"'"'`) + `'`,
		"single 2":      `'` + strings.ReplaceAll(secret, `'`, `'\''`) + `'`,
		"double":        `"p@ss 'wo\"rd\` + "`" + `\$x\\y&<z>/é+%"`,
		"powershell":    `"p@ss 'wo` + "`\"rd```$x" + `\y&<z>/é+%"`,
		"base64":        b64([]byte(secret)),
		"base64 url":    base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"powershell -e": b64([]byte("x\x00" + wide(secret) + "y\x00")),
	} {
		got := r.Redact("see " + form + " there")
		if !strings.HasPrefix(got, "see ") || !strings.HasSuffix(got, " there") || !strings.Contains(got, Redacted) {
			t.Errorf("%s: %q", name, got)
		}
		if len(got) > len("see \"\" there")+len(Redacted)+10 {
			t.Errorf("%s: something is left in %q", name, got)
		}
	}
	for i := range 9 {
		text := b64([]byte(strings.Repeat("u", i) + secret + strings.Repeat("v", i/3)))
		// At most the digits that the neighbours share are left.
		if got := r.Redact(text); len(got)-len(Redacted) > len(b64(make([]byte, i)))+len(b64(make([]byte, i/3)))+8 {
			t.Errorf("in base64 behind %d bytes: %q of %q", i, got, text)
		}
	}
	if s := "abc stays, and so does password"; r.Redact(s) != s {
		t.Errorf("%q", r.Redact(s))
	}

	var two Redactor
	two.Add("secret")
	two.Add("secret-longer")
	if s := two.Redact("secret-longer secret"); s != Redacted+" "+Redacted {
		t.Errorf("of two secrets the shorter won: %q", s)
	}
}

// TestRedactShellForms lets real shells write a secret.
func TestRedactShellForms(t *testing.T) {
	secret := `it's "quoted" $HOME \n !bang; a&b`
	var r Redactor
	r.Add(secret)
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("NOT TESTED: quoting as bash has it: bash is missing")
	}
	for _, script := range []string{
		`printf '%q\n' "$1"`,
		`x=$1; set -x; : "$x"`,
		`x=$1; declare -p x`,
		`printf '%s' "$1" | base64`,
		`printf 'user:%s' "$1" | base64 -w 20 | tr -d '\n'`,
	} {
		out, err := exec.Command(bash, "-c", script, "bash", secret).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
		if got := r.Redact(string(out)); !strings.Contains(got, Redacted) || strings.Contains(got, "quoted") {
			t.Errorf("%s wrote %q, redacted %q", script, out, got)
		}
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestRedactLines(t *testing.T) {
	var r Redactor
	r.Add("first line\r\n  second line  \nabc\n-----END KEY-----\n")
	for _, s := range []string{"first line", "second line"} {
		if got := r.Redact("> " + s + " <"); got != "> "+Redacted+" <" {
			t.Errorf("%q", got)
		}
	}
	if s := "-----END KEY----- abc"; r.Redact(s) != s {
		t.Errorf("%q", r.Redact(s))
	}
	long := strings.Repeat("0123456789 wrapped secret ", 10)
	r.Add(long)
	b := base64.StdEncoding.EncodeToString([]byte(long))
	for _, width := range []int{64, 76} {
		for i := 0; i < len(b); i += width {
			if l := b[i:min(i+width, len(b))]; r.Redact(l) != Redacted {
				t.Errorf("a line of base64 in columns of %d: %q", width, r.Redact(l))
			}
		}
	}
}

// Of secrets that overlap, nothing is left of either.
func TestRedactOverlaps(t *testing.T) {
	var r Redactor
	r.Add("abcdef")
	r.Add("defghi")
	if got := r.Redact("-abcdefghi-abcdefdefghi-"); got != "-"+Redacted+"-"+Redacted+Redacted+"-" {
		t.Errorf("%q", got)
	}
}

// TestBreak breaks a line without end wherever there may be a secret, and puts
// the pieces together as a log shows them.
func TestBreak(t *testing.T) {
	const most = 64
	long := strings.Repeat("0123456789", 20)
	for _, secret := range []string{"hunter-2-hunter", "abcd", "aaaaaaaa", long} {
		var r Redactor
		r.Add(secret)
		for _, text := range []string{secret, secret + secret, secret[:len(secret)-1], secret[1:] + secret, secret + "\u00e9", b64(secret), b64("u" + secret + "v")} {
			for pad := range 2*most + 2 {
				line := strings.Repeat(".", pad) + text + strings.Repeat(".", most)
				for _, chunk := range []int{1, 7, 1000} {
					var shown, raw, part string
					for rest := line; rest != ""; {
						n := min(chunk, len(rest))
						part, rest = part+rest[:n], rest[n:]
						for len(part) > most {
							n := r.Break(part, most)
							if n == 0 {
								break
							}
							raw, shown, part = raw+part[:n], shown+r.Redact(part[:n]), part[n:]
						}
						if len(part) > most+r.longest+chunk {
							t.Fatalf("%d bytes are held back", len(part))
						}
					}
					raw, shown = raw+part, shown+r.Redact(part)
					if raw != line {
						t.Fatalf("%q became %q", line, raw)
					}
					if whole := r.Redact(line); shown != whole {
						t.Fatalf("%q after %d in pieces of %d: %q, and not %q", text, pad, chunk, shown, whole)
					}
				}
			}
		}
	}
}

// What repeats without end may be one secret over another for ever: it is broken
// all the same.
func TestBreakIsBounded(t *testing.T) {
	var r Redactor
	r.Add("abab")
	if n := r.Break(strings.Repeat("ab", 1000), 64); n < 64 {
		t.Errorf("a break after %d bytes of 2,000", n)
	}
	var two Redactor
	two.Add("x" + strings.Repeat("y", 100))
	if n := two.Break("x"+strings.Repeat("y", 70), 64); n != 0 {
		t.Errorf("a break after %d bytes of what may be a secret", n)
	}
	if n := two.Break("x"+strings.Repeat("y", 70)+"z", 64); n != 64 {
		t.Errorf("a break after %d bytes of what is none", n)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("secret", "the secret is out")
	f.Add("a\nb'c\"d\\", "a\nb'c\"d\\")
	f.Add("\xff\xfe\x00\x01", "x")
	f.Fuzz(func(t *testing.T, secret, text string) {
		var r Redactor
		r.Add(secret)
		if got := r.Redact(text + secret); len(secret) >= minSecret && !strings.Contains(Redacted, secret) && strings.HasSuffix(got, secret) {
			t.Errorf("%q in %q", secret, got)
		}
		if line := text + secret + text; len(line) > 1 {
			n := r.Break(line, len(line)/2)
			if n < 0 || n > len(line) {
				t.Fatalf("a break of %d bytes after %d", len(line), n)
			}
			if len(line) < len(line)/2+r.longest && r.Redact(line[:n])+r.Redact(line[n:]) != r.Redact(line) {
				t.Errorf("%q is torn in %q at %d", secret, line, n)
			}
		}
	})
}
