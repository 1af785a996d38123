package wsman

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestHTTP(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(toyUser, toyPassword)
	get := func(method, path string) int {
		r, _ := http.NewRequest(method, strings.TrimSuffix(w.url, "/wsman")+path, strings.NewReader(identifyMessage))
		r.Header.Set("Authorization", w.auth)
		r.Header.Set("Content-Type", plainType)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode
	}
	for _, c := range []struct {
		method, path string
		want         int
	}{{"POST", "/wsman", 200}, {"POST", "/wsman/", 200}, {"POST", "/WSMan?PSVersion=5.1", 200}, {"GET", "/wsman", 405}, {"PUT", "/wsman", 405}, {"POST", "/", 404}, {"POST", "/wsman/x", 404}} {
		if got := get(c.method, c.path); got != c.want {
			t.Errorf("%s %s: %d", c.method, c.path, got)
		}
	}
	if a := w.post("text/xml", identifyMessage); a.status != 415 {
		t.Errorf("text/xml: %d", a.status)
	}
	if a := w.soap(""); a.status != 200 || a.body != "" {
		t.Errorf("nothing: %d %q", a.status, a.body)
	}
	for _, auth := range []string{"Basic", "Basic !", "Basic eA==", "Digest x", "Bearer x", "Kerberos YII="} {
		w.auth = auth
		a := w.soap(identifyMessage)
		if got := a.header.Values("WWW-Authenticate"); a.status != 401 || len(got) != 2 || got[0] != "Negotiate" || got[1] != `Basic realm="WSMAN"` {
			t.Errorf("%s: %d %q", auth, a.status, got)
		}
	}
}

func TestIdentify(t *testing.T) {
	p := start(t, sealedOnly)
	w := dial(t, p, false)
	anonymous := []string{"WSMANIDENTIFY", "unauthenticated"}
	a := w.post(plainType, identifyMessage, anonymous...)
	if a.status != 200 || !strings.Contains(a.body, "OS: 0.0.0 SP: 0.0 Stack: 3.0") || strings.Contains(a.body, "17763") {
		t.Errorf("without a user: %d %s", a.status, a.body)
	}
	for _, message := range []string{"", "x", ask{action: "Create"}.String(), strings.Repeat("x", 1<<20)} {
		if a := w.post(plainType, message, anonymous...); a.status != 401 {
			t.Errorf("%.50q without a user: %d", message, a.status)
		}
	}
	w.handshake(vagrant)
	r := w.sealed(identifyMessage).tree(t).kid(nsSOAP, "Body").kid(nsIdentity, "IdentifyResponse")
	if r.value(nsIdentity, "ProtocolVersion") != nsWSMan || r.value(nsIdentity, "ProductVendor") != "Microsoft Corporation" || r.value(nsIdentity, "ProductVersion") != "OS: 10.0.17763 SP: 0.0 Stack: 3.0" {
		t.Errorf("with a user: %+v", r)
	}
}

func TestFaults(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(toyUser, toyPassword)
	shell := w.create("")
	command := w.command(shell, "cat")
	nobody := "00000000-0000-4000-8000-000000000000"
	create := func(more string) ask { return ask{action: "Create", body: fmt.Sprintf(createBody, more)} }
	without := func(a ask, what string) string {
		s := a.String()
		if !strings.Contains(s, what) {
			t.Fatalf("no %s in %s", what, s)
		}
		return strings.Replace(s, what, "", 1)
	}
	option := func(a ask, name, value, more string) ask {
		a.headers += `<w:OptionSet><w:Option Name="` + name + `" ` + more + `>` + value + `</w:Option></w:OptionSet>`
		return a
	}
	run := func(line string) ask {
		return ask{action: "Command", shell: shell, body: `<rsp:CommandLine><rsp:Command>` + line + `</rsp:Command></rsp:CommandLine>`}
	}
	for name, c := range map[string]struct {
		message         string
		code            uint32
		sender, subcode string
	}{
		"no XML":               {"garbage", 0x80338043, "s:Sender", "w:SchemaValidationError"},
		"half an XML":          {ask{action: "Create"}.String()[:200], 0x80338043, "s:Sender", "w:SchemaValidationError"},
		"a document type":      {`<!DOCTYPE x [<!ENTITY a "b">]>` + identifyMessage, 0x80338043, "s:Sender", "w:SchemaValidationError"},
		"two roots":            {identifyMessage + identifyMessage, 0x80338043, "s:Sender", "w:SchemaValidationError"},
		"too deep":             {strings.Repeat("<x>", 40) + strings.Repeat("</x>", 40), 0x80338043, "s:Sender", "w:SchemaValidationError"},
		"too many":             {"<x>" + strings.Repeat("<y/>", 20000) + "</x>", 0x80338043, "s:Sender", "w:SchemaValidationError"},
		"another encoding":     {`<?xml version="1.0" encoding="iso-8859-1"?>` + identifyMessage, 0x80338043, "s:Sender", "w:SchemaValidationError"},
		"no envelope":          {"<x/>", 0x80338043, "s:Sender", "w:SchemaValidationError"},
		"SOAP 1.1":             {strings.ReplaceAll(identifyMessage, nsSOAP, nsSOAP11), 0x80338043, "s:VersionMismatch", ""},
		"no body":              {`<s:Envelope xmlns:s="` + nsSOAP + `"/>`, 0x80338027, "s:Sender", "w:SchemaValidationError"},
		"an empty header":      {`<s:Envelope xmlns:s="` + nsSOAP + `"><s:Body/></s:Envelope>`, 0x8033800f, "s:Sender", "a:MessageInformationHeaderRequired"},
		"no To":                {without(create(""), `<a:To>http://x/wsman</a:To>`), 0x8033800f, "s:Sender", "a:MessageInformationHeaderRequired"},
		"no ReplyTo":           {without(create(""), `<a:ReplyTo><a:Address>`+anonymous+`</a:Address></a:ReplyTo>`), 0x80338076, "s:Sender", "w:UnsupportedFeature"},
		"no ResourceURI":       {without(create(""), cmdResource), 0x8033803b, "s:Sender", "a:DestinationUnreachable"},
		"a long ID":            {ask{action: "Create", id: strings.Repeat("x", 2000)}.String(), 0x8033802d, "s:Sender", "w:EncodingLimit"},
		"an unknown header":    {ask{action: "Create", headers: `<x s:mustUnderstand="true"/>`}.String(), 0x80338010, "s:MustUnderstand", ""},
		"compression":          {ask{action: "Create", headers: `<rsp:CompressionType s:mustUnderstand="1">xpress</rsp:CompressionType>`}.String(), 0x80338010, "s:MustUnderstand", ""},
		"an unknown action":    {ask{action: nsShell + "/Disconnect", shell: shell}.String(), 0x80338001, "s:Sender", "a:ActionNotSupported"},
		"another resource":     {ask{action: "Create", resource: "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"}.String(), 0x8033803b, "s:Sender", "a:DestinationUnreachable"},
		"a shell of config":    {ask{action: "Create", resource: nsConfig}.String(), 0x80338001, "s:Sender", "a:ActionNotSupported"},
		"a small envelope":     {ask{action: "Create", envelope: 100}.String(), 0x8033807e, "s:Sender", "w:EncodingLimit"},
		"a negative envelope":  {ask{action: "Create", envelope: -1}.String(), 0x8033800f, "s:Sender", "a:InvalidMessageInformationHeader"},
		"no time":              {ask{action: "Create", timeout: "PT0S"}.String(), 0x80338081, "s:Sender", "w:InvalidParameter"},
		"a time without unit":  {ask{action: "Create", timeout: "60"}.String(), 0x80338081, "s:Sender", "w:InvalidParameter"},
		"no Shell":             {ask{action: "Create"}.String(), 0x80338027, "s:Sender", "w:SchemaValidationError"},
		"an unknown stream":    {strings.Replace(create("").String(), "stdout", "stdlog", 1), 87, "s:Sender", "w:InvalidParameter"},
		"a bad shell ID":       {strings.Replace(create("").String(), "<rsp:Shell>", `<rsp:Shell ShellId="../x">`, 1), 87, "s:Sender", "w:InvalidParameter"},
		"a shell ID twice":     {strings.Replace(create("").String(), "<rsp:Shell>", `<rsp:Shell ShellId="`+strings.ToLower(shell)+`">`, 1), 0x80338033, "s:Sender", "w:AlreadyExists"},
		"an endless shell":     {create(`<rsp:IdleTimeOut>P1Y</rsp:IdleTimeOut>`).String(), 87, "s:Sender", "w:InvalidParameter"},
		"a variable's name":    {create(`<rsp:Environment><rsp:Variable Name="a=b">x</rsp:Variable></rsp:Environment>`).String(), 87, "s:Sender", "w:InvalidParameter"},
		"a code page":          {option(create(""), "WINRS_CODEPAGE", "utf-8", "").String(), 0x80338053, "s:Sender", "w:InvalidOptions"},
		"an option's value":    {option(create(""), "WINRS_NOPROFILE", "maybe", "").String(), 0x80338053, "s:Sender", "w:InvalidOptions"},
		"an option to obey":    {option(create(""), "WINRS_X", "1", `MustComply="true"`).String(), 0x80338052, "s:Sender", "w:InvalidOptions"},
		"no selector":          {ask{action: "Delete"}.String(), 0x8033805a, "s:Sender", "w:InvalidSelectors"},
		"no such shell":        {receiveAsk(nobody, command).String(), 0x8033805b, "s:Sender", "w:InvalidSelectors"},
		"no such command":      {receiveAsk(shell, nobody).String(), 0x8033805b, "s:Sender", "w:InvalidSelectors"},
		"no command to signal": {signalAsk(shell, nobody, "terminate").String(), 0x8033805b, "s:Sender", "w:InvalidSelectors"},
		"no command to feed":   {sendAsk(shell, nobody, "", "false").String(), 0x8033805b, "s:Sender", "w:InvalidSelectors"},
		"no command ID":        {strings.Replace(receiveAsk(shell, command).String(), "CommandId", "Id", 1), 87, "s:Sender", "w:InvalidParameter"},
		"no streams":           {strings.Replace(receiveAsk(shell, command).String(), "stdout stderr", "", 1), 87, "s:Sender", "w:InvalidParameter"},
		"input to receive":     {strings.Replace(receiveAsk(shell, command).String(), "stdout stderr", "stdin", 1), 87, "s:Sender", "w:InvalidParameter"},
		"output to send":       {strings.Replace(sendAsk(shell, command, "x", "false").String(), `"stdin"`, `"stdout"`, 1), 87, "s:Sender", "w:InvalidParameter"},
		"no base64":            {strings.Replace(sendAsk(shell, command, "xxx", "false").String(), "eHh4", "e!h4", 1), 87, "s:Sender", "w:InvalidParameter"},
		"an unknown signal":    {signalAsk(shell, command, "hup").String(), 87, "s:Sender", "w:InvalidParameter"},
		"an empty command":     {run(" ").String(), 87, "s:Sender", "w:InvalidParameter"},
		"a bad command ID":     {strings.Replace(run("cat").String(), "<rsp:CommandLine>", `<rsp:CommandLine CommandId="x">`, 1), 87, "s:Sender", "w:InvalidParameter"},
		"a command ID twice":   {strings.Replace(run("cat").String(), "<rsp:CommandLine>", `<rsp:CommandLine CommandId="`+command+`">`, 1), 0x80338033, "s:Sender", "w:AlreadyExists"},
		"no such program":      {run("nosuch").String(), 0x80070002, "s:Receiver", "w:InternalError"},
		"a quiet command": {func() string {
			a := receiveAsk(shell, command)
			a.timeout = "PT0.05S"
			return a.String()
		}(), 2150858793, "s:Receiver", "w:TimedOut"},
	} {
		a := w.soap(c.message)
		if a.status != 500 || a.header.Get("Content-Type") != plainType {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
			continue
		}
		if got := a.code(t); got != c.code {
			t.Errorf("%s: code %#x, not %#x: %s", name, got, c.code, a.body)
		}
		root := a.tree(t)
		code := root.kid(nsSOAP, "Body").kid(nsSOAP, "Fault").kid(nsSOAP, "Code")
		subcode := ""
		if s := code.kid(nsSOAP, "Subcode"); s != nil {
			subcode = s.value(nsSOAP, "Value")
		}
		if code.value(nsSOAP, "Value") != c.sender || subcode != c.subcode {
			t.Errorf("%s: %s", name, a.body)
		}
		if header := root.kid(nsSOAP, "Header"); header.value(nsAddress, "Action") != actionFault || len(a.body) > minEnvelope {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	// Nothing of this did any harm.
	if a := w.soap(sendAsk(shell, command, "still there", "true").String()); a.status != 200 {
		t.Errorf("%d: %s", a.status, a.body)
	}
	if r := w.all(shell, command); r.out != "still there" {
		t.Errorf("%+v", r)
	}
	if len(p.s.shells) != 1 {
		t.Errorf("%d shells", len(p.s.shells))
	}
}

func TestRelatesTo(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(toyUser, toyPassword)
	for _, action := range []string{"Create", "Delete"} {
		a := ask{action: action, id: `uuid:a&amp;b<!-- x -->c`, body: fmt.Sprintf(createBody, "")}
		if got := w.soap(a.String()).tree(t).kid(nsSOAP, "Header").value(nsAddress, "RelatesTo"); got != "uuid:a&bc" {
			t.Errorf("%s: %q", action, got)
		}
	}
}

func TestUTF16(t *testing.T) {
	p := start(t)
	w := dial(t, p, false).basic(toyUser, toyPassword)
	message := `<?xml version="1.0" encoding="UTF-16"?>` + ask{action: "Create", body: fmt.Sprintf(createBody, "<rsp:WorkingDirectory>C:\\ä😀</rsp:WorkingDirectory>")}.String()
	a := w.post("application/soap+xml;charset=UTF-16", string(encodeUTF16(message)))
	if a.status != 200 || a.header.Get("Content-Type") != "application/soap+xml;charset=UTF-16" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	if got := a.tree(t).kid(nsSOAP, "Body").kid(nsShell, "Shell").value(nsShell, "WorkingDirectory"); got != "C:\\ä😀" {
		t.Errorf("%q", got)
	}
	if a := w.post("application/soap+xml;charset=UTF-16", string(encodeUTF16(message))+"x"); a.status != 500 {
		t.Errorf("half a character: %d", a.status)
	}
}

func TestEnvelopeSize(t *testing.T) {
	p := start(t, func(s *Service) { s.MaxEnvelopeSizeKB = 150 })
	w := dial(t, p, false).basic(toyUser, toyPassword)
	message := identifyMessage + strings.Repeat(" ", 150<<10-len(identifyMessage))
	if a := w.soap(message); a.status != 200 {
		t.Errorf("the largest: %d", a.status)
	}
	if a := w.soap(message + " "); a.code(t) != codeEncodingLimit {
		t.Errorf("one byte more: %s", a.body)
	}
	if a := w.soap(strings.Repeat("x", 3<<20)); a.code(t) != codeEncodingLimit {
		t.Errorf("3 MiB: %s", a.body)
	}
	if a := dial(t, p, false).soap(strings.Repeat("x", 3<<20)); a.status != 401 {
		t.Errorf("3 MiB without a user: %d", a.status)
	}
	a := w.soap(ask{action: "Get", resource: nsConfig}.String())
	if got := a.tree(t).kid(nsSOAP, "Body").kid(nsConfig, "Config").value(nsConfig, "MaxEnvelopeSizekb"); got != "150" {
		t.Errorf("configuration: %s", a.body)
	}

	// Answers are as large as their client wants them, and no larger than the service does.
	shell := w.create("")
	for _, c := range []struct{ asked, most int }{{8192, 8192}, {20000, 20000}, {150 << 10, 150 << 10}, {10 << 20, 150 << 10}} {
		command := w.command(shell, "big 200000")
		var out strings.Builder
		largest := 0
		for done := false; !done; {
			r := receiveAsk(shell, command)
			r.envelope, r.id = c.asked, "uuid:"+strings.Repeat("&quot;", 1000)
			a := w.soap(r.String())
			largest = max(largest, len(a.body))
			got := a.streams(t)
			out.WriteString(got.out)
			done = got.done
		}
		if out.Len() != 800000 || largest > c.most || largest < c.most*3/4 {
			t.Errorf("%d bytes allowed: %d bytes of 800000, largest answer %d", c.asked, out.Len(), largest)
		}
	}
}
