package wsman

import (
	"encoding/base64"
	"runtime"
	"strings"
	"testing"
)

func receiveReply(state, code string) string {
	if code != "" {
		code = "<rsp:ExitCode>" + code + "</rsp:ExitCode>"
	}
	return `<s:Envelope xmlns:s="s" xmlns:rsp="r"><s:Body><rsp:ReceiveResponse>` +
		`<rsp:Stream Name="stdout" CommandId="x">` + "\r\n " + base64.StdEncoding.EncodeToString([]byte("one ")) + "\r\n" + `</rsp:Stream>` +
		`<rsp:Stream Name="stderr" CommandId="x">` + base64.StdEncoding.EncodeToString([]byte("err")) + `</rsp:Stream>` +
		`<rsp:Stream Name="stdout" CommandId="x">` + base64.StdEncoding.EncodeToString([]byte("two")) + `</rsp:Stream>` +
		`<rsp:Stream Name="stdout" CommandId="x" End="true"/>` +
		`<rsp:CommandState CommandId="x" State="http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/` + state + `">` + code + `</rsp:CommandState></rsp:ReceiveResponse></s:Body></s:Envelope>`
}

func TestOutput(t *testing.T) {
	for _, c := range []struct {
		state, code string
		done        bool
		want        int
		err         string
	}{
		{"Running", "", false, 0, ""},
		{"Pending", "", false, 0, ""},
		{"Done", "0", true, 0, ""},
		{"Done", " 3010 ", true, 3010, ""},
		{"Done", "-1", true, -1, ""},
		{"Done", "4294967295", true, -1, ""},
		{"Done", "3221225786", true, -1073741510, ""},
		{"Done", "", false, 0, "but not how"},
		{"Done", "x", false, 0, "no number"},
		{"Done", "4294967296", false, 0, "no number"},
	} {
		r, err := parse([]byte(receiveReply(c.state, c.code)))
		if err != nil {
			t.Fatal(err)
		}
		out, err := r.output()
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || len(out.Stdout) > 0 {
				t.Errorf("%s %q: %+v, %v", c.state, c.code, out, err)
			}
			continue
		}
		if err != nil || out.Done != c.done || out.Code != c.want || string(out.Stdout) != "one two" || string(out.Stderr) != "err" {
			t.Errorf("%s %q: %+v, %v", c.state, c.code, out, err)
		}
	}
	r, err := parse([]byte(strings.Replace(receiveReply("Done", "0"), "ZXJy", "%%%", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.output(); err == nil {
		t.Error("what is not base64 is taken")
	}
}

func TestShellName(t *testing.T) {
	for _, text := range []string{
		`<Envelope><Body><ResourceCreated><ReferenceParameters><SelectorSet><Selector Name="x">1</Selector><Selector Name="ShellId">A-1</Selector></SelectorSet></ReferenceParameters></ResourceCreated></Body></Envelope>`,
		`<Envelope><Body><Shell><ShellId> A-1 </ShellId></Shell></Body></Envelope>`,
	} {
		r, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if id, err := r.id("x", r.shell()); id != "A-1" || err != nil {
			t.Errorf("%q, %v", id, err)
		}
	}
}

// Elements cost more than they have bytes: an answer may have some, not a million.
func TestReplyElements(t *testing.T) {
	for name, text := range map[string]string{
		"nested":    "<Envelope><Body>" + strings.Repeat("<a>", maxReply/3),
		"in a row":  "<Envelope><Body>" + strings.Repeat("<a/>", maxReply/4),
		"in faults": "<Envelope><Body><Fault><Reason>" + strings.Repeat("<Text/>", maxReply/7),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := parse([]byte(text))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; err != errElements || used > 8*maxReply {
			t.Errorf("%s: %v, and %d bytes", name, err, used)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte(receiveReply("Done", "1")))
	f.Add([]byte(`<Envelope><Body><Fault><Code><Value>s:Receiver</Value><Subcode><Value>w:TimedOut</Value></Subcode></Code><Reason><Text>x</Text></Reason>` +
		`<Detail><WSManFault Code="2150858793"><Message>a<ProviderFault><WSManFault><Message>b</Message></WSManFault></ProviderFault></Message></WSManFault></Detail></Fault></Body></Envelope>`))
	f.Add([]byte(`<Envelope><Body><CommandResponse><CommandId>A</CommandId></CommandResponse></Body></Envelope>`))
	f.Add([]byte(strings.Repeat("<a>", 100000)))
	c, err := New(Options{Host: "x", User: "u", Password: "b"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parse(body)
		if err != nil {
			return
		}
		if out, err := r.output(); err == nil && !out.Done && out.Code != 0 {
			t.Fatalf("%+v", out)
		}
		if id, err := r.id("x", r.shell()); err == nil && strings.ContainsAny(id, "<>&\"' ") {
			t.Fatalf("%q", id)
		}
		if r.Body.Fault != nil {
			e := r.Body.Fault.err("x", c.clean)
			if strings.ContainsAny(e.Error(), "\n\r") || len(e.Error()) > 8000 {
				t.Fatalf("%q", e)
			}
			isQuiet(e)
		}
	})
}
