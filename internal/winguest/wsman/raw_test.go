package wsman

import (
	"bytes"
	"crypto/rc4"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/md4" //lint:ignore SA1019 NTLM is made of it
)

// wire is one connection, by which anything can be said.
type wire struct {
	t    testing.TB
	c    *http.Client
	url  string
	auth string // of every request, for Basic

	s *session // after an NTLM handshake, in the client's view
}

func dial(t testing.TB, p *place, https bool) *wire {
	t.Helper()
	at, scheme := p.http, "http://"
	if https {
		at, scheme = p.https, "https://"
	}
	tr := &http.Transport{
		MaxConnsPerHost: 1,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &wire{t: t, c: &http.Client{Transport: tr, Timeout: time.Minute}, url: scheme + at + "/wsman"}
}

func (w *wire) basic(user, password string) *wire {
	w.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	return w
}

type answer struct {
	status int
	header http.Header
	body   string
	closed bool
}

func (w *wire) post(kind, body string, headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequest("POST", w.url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if w.auth != "" {
		r.Header.Set("Authorization", w.auth)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a, err := w.c.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{a.StatusCode, a.Header, string(data), a.Close}
}

const plainType = "application/soap+xml;charset=UTF-8"

func (w *wire) soap(body string) answer { w.t.Helper(); return w.post(plainType, body) }

// ntlm is what an NTLM client says, with its faults.
type ntlm struct {
	user, domain, password string

	asked   uint32 // flags, instead of all that are usual
	v1      bool
	noMIC   bool
	badMIC  bool
	binding []byte
	spoil   func(authenticate []byte)
}

const usualFlags = ntlmNeeded | ntlmRequestTarget | ntlmSign | ntlmSeal | ntlmNTLM | ntlmAlwaysSign | ntlmKeyExchange | ntlm56

func (n ntlm) negotiate() []byte {
	asked := n.asked
	if asked == 0 {
		asked = usualFlags
	}
	m := append([]byte{}, ntlmSignature...)
	m = binary.LittleEndian.AppendUint32(m, 1)
	m = binary.LittleEndian.AppendUint32(m, asked)
	return append(m, make([]byte, 16)...)
}

// authenticate answers a challenge.
func (n ntlm) authenticate(t testing.TB, negotiate, challenge []byte) ([]byte, *session) {
	t.Helper()
	le := binary.LittleEndian
	if ntlmType(challenge) != 2 {
		t.Fatalf("not a challenge: %q", challenge)
	}
	flags := le.Uint32(challenge[20:])
	if asked := le.Uint32(negotiate[12:]); asked&^flags&(ntlmSeal|ntlmSign|ntlmKeyExchange) != 0 {
		t.Fatalf("asked for %08x, got %08x", asked, flags)
	}
	info := challenge[le.Uint32(challenge[44:]):][:le.Uint16(challenge[40:])]
	values, ok := readValues(info)
	if !ok || len(values[avTimestamp]) != 8 || fromUTF16LE(values[avComputer]) != "WIN-TOY" {
		t.Fatalf("target information: %q", info)
	}
	h := md4.New()
	h.Write(utf16LE(n.password))
	owner := hmacMD5(h.Sum(nil), utf16LE(strings.ToUpper(n.user)+n.domain))
	blob := append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, values[avTimestamp]...)
	blob = append(blob, "8 bytes!\x00\x00\x00\x00"...)
	blob = append(blob, info[:len(info)-4]...)
	if !n.noMIC {
		blob = append(blob, avFlags, 0, 4, 0, avFlagMIC, 0, 0, 0)
	}
	if n.binding != nil {
		blob = append(append(blob, avBindings, 0, 16, 0), n.binding...)
	}
	blob = append(blob, 0, 0, 0, 0, 0, 0, 0, 0)
	proof := hmacMD5(owner, challenge[24:32], blob)
	key := hmacMD5(owner, proof)
	response := append(bytes.Clone(proof), blob...)
	if n.v1 {
		response = response[:24]
	}
	var exported []byte
	if flags&ntlmKeyExchange != 0 {
		c, _ := rc4.NewCipher(key)
		exported = make([]byte, 16)
		key = []byte("an exported key!")
		c.XORKeyStream(exported, key)
	}
	m := append([]byte{}, ntlmSignature...)
	m = le.AppendUint32(m, 3)
	var payload []byte
	for _, f := range [][]byte{make([]byte, 24), response, utf16LE(n.domain), utf16LE(n.user), nil, exported} {
		m = appendField(m, len(f), 88+len(payload))
		payload = append(payload, f...)
	}
	m = le.AppendUint32(m, flags)
	m = append(append(m, make([]byte, 24)...), payload...)
	if !n.noMIC {
		copy(m[72:], hmacMD5(key, negotiate, challenge, m))
	}
	if n.badMIC {
		m[72] ^= 1
	}
	if n.spoil != nil {
		n.spoil(m)
	}
	s, err := newSession(key, flags)
	if err != nil {
		t.Fatal(err)
	}
	s.in, s.out = s.out, s.in
	return m, s
}

// handshake authenticates the connection with empty messages.
func (w *wire) handshake(n ntlm) answer {
	w.t.Helper()
	first := n.negotiate()
	a := w.post(plainType, "", "Authorization", negotiateHeader(first))
	challenge, ok := strings.CutPrefix(a.header.Get("WWW-Authenticate"), "Negotiate ")
	if a.status != 401 || !ok {
		return a
	}
	data, err := base64.StdEncoding.DecodeString(challenge)
	if err != nil {
		w.t.Fatal(err)
	}
	last, s := n.authenticate(w.t, first, data)
	w.s = s
	return w.post(plainType, "", "Authorization", negotiateHeader(last))
}

func (w *wire) wrap(message string) (kind string, body []byte) {
	return (&conn{session: w.s}).seal(plainType, []byte(message))
}

// sealed sends one message in a seal and opens the answer.
func (w *wire) sealed(message string) answer {
	w.t.Helper()
	kind, body := w.wrap(message)
	a := w.post(kind, string(body))
	if strings.HasPrefix(a.header.Get("Content-Type"), "multipart/encrypted") {
		plain, err := (&conn{session: w.s}).open(map[string]string{"protocol": sealProtocol, "boundary": sealBoundary}, []byte(a.body))
		if err != nil {
			w.t.Fatalf("the answer: %v", err)
		}
		a.body = string(plain)
	}
	return a
}

var vagrant = ntlm{user: toyUser, password: toyPassword}

// ask is a message for the shell resource.
type ask struct {
	action, resource, shell, body, headers string
	timeout                                string
	envelope                               int
	id                                     string
}

func (a ask) String() string {
	if a.resource == "" {
		a.resource = cmdResource
	}
	if a.timeout == "" {
		a.timeout = "PT20S"
	}
	if a.envelope == 0 {
		a.envelope = 153600
	}
	if a.id == "" {
		a.id = "uuid:" + newID()
	}
	if a.shell != "" {
		a.headers += `<w:SelectorSet><w:Selector Name="ShellId">` + a.shell + `</w:Selector></w:SelectorSet>`
	}
	if !strings.Contains(a.action, "/") {
		a.action = map[bool]string{true: nsTransfer, false: nsShell}[strings.Contains("Create Delete Get", a.action)] + "/" + a.action
	}
	return fmt.Sprintf(`<s:Envelope xmlns:s="%s" xmlns:a="%s" xmlns:w="%s" xmlns:rsp="%s"><s:Header><a:To>http://x/wsman</a:To><a:Action s:mustUnderstand="true">%s</a:Action>`+
		`<a:MessageID>%s</a:MessageID><a:ReplyTo><a:Address>%s</a:Address></a:ReplyTo><w:ResourceURI>%s</w:ResourceURI><w:MaxEnvelopeSize>%d</w:MaxEnvelopeSize>`+
		`<w:OperationTimeout>%s</w:OperationTimeout>%s</s:Header><s:Body>%s</s:Body></s:Envelope>`,
		nsSOAP, nsAddress, nsWSMan, nsShell, a.action, a.id, anonymous, a.resource, a.envelope, a.timeout, a.headers, a.body)
}

const createBody = `<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams><rsp:OutputStreams>stdout stderr</rsp:OutputStreams>%s</rsp:Shell>`

// reached reads the answer as Windows' clients do.
func (a answer) tree(t testing.TB) *element {
	t.Helper()
	root, err := parse([]byte(a.body))
	if err != nil {
		t.Fatalf("%v: status %d, %q", err, a.status, a.body)
	}
	return root
}

// code is a fault's, 0 without one.
func (a answer) code(t testing.TB) uint32 {
	t.Helper()
	if a.status == 200 {
		return 0
	}
	f := a.tree(t).kid(nsSOAP, "Body").kid(nsSOAP, "Fault")
	if a.status != 500 || f == nil {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	var n uint32
	fmt.Sscan(f.kid(nsSOAP, "Detail").kid(nsFault, "WSManFault").attr("", "Code"), &n)
	return n
}

func (w *wire) create(more string) string {
	w.t.Helper()
	a := w.soap(ask{action: "Create", body: fmt.Sprintf(createBody, more)}.String())
	if a.status != 200 {
		w.t.Fatalf("%d: %s", a.status, a.body)
	}
	return a.tree(w.t).kid(nsSOAP, "Body").kid(nsShell, "Shell").value(nsShell, "ShellId")
}

func (w *wire) command(shell, line string) string {
	w.t.Helper()
	a := w.soap(ask{action: "Command", shell: shell, body: `<rsp:CommandLine><rsp:Command>` + esc(line) + `</rsp:Command></rsp:CommandLine>`}.String())
	if a.status != 200 {
		w.t.Fatalf("%d: %s", a.status, a.body)
	}
	return a.tree(w.t).kid(nsSOAP, "Body").kid(nsShell, "CommandResponse").value(nsShell, "CommandId")
}

func receiveAsk(shell, command string) ask {
	return ask{action: "Receive", shell: shell, body: `<rsp:Receive><rsp:DesiredStream CommandId="` + command + `">stdout stderr</rsp:DesiredStream></rsp:Receive>`}
}

func sendAsk(shell, command, data, end string) ask {
	return ask{action: "Send", shell: shell, body: `<rsp:Send><rsp:Stream Name="stdin" CommandId="` + command + `" End="` + end + `">` +
		base64.StdEncoding.EncodeToString([]byte(data)) + `</rsp:Stream></rsp:Send>`}
}

func signalAsk(shell, command, what string) ask {
	return ask{action: "Signal", shell: shell, body: `<rsp:Signal CommandId="` + command + `"><rsp:Code>` + nsShell + `/signal/` + what + `</rsp:Code></rsp:Signal>`}
}

type received struct {
	out, err string
	ended    int
	done     bool
	exit     string
}

// streams is what an answer to Receive brought.
func (a answer) streams(t testing.TB) (r received) {
	t.Helper()
	if a.status != 200 {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	body := a.tree(t).kid(nsSOAP, "Body").kid(nsShell, "ReceiveResponse")
	for _, k := range body.kids {
		if k.is(nsShell, "CommandState") {
			r.done = strings.HasSuffix(k.attr("", "State"), "/CommandState/Done")
			r.exit = k.value(nsShell, "ExitCode")
			continue
		}
		data, err := base64.StdEncoding.DecodeString(k.text)
		if err != nil {
			t.Fatal(err)
		}
		if k.attr("", "End") == "true" {
			r.ended++
		}
		if k.attr("", "Name") == "stdout" {
			r.out += string(data)
		} else {
			r.err += string(data)
		}
	}
	return r
}

// all receives until the command is over.
func (w *wire) all(shell, command string) received {
	w.t.Helper()
	var sum received
	for !sum.done {
		r := w.soap(receiveAsk(shell, command).String()).streams(w.t)
		r.out, r.err = sum.out+r.out, sum.err+r.err
		sum = r
	}
	return sum
}

// cut is a request whose client is gone before the answer comes.
func (p *place) cut(t testing.TB, message string) (gone func()) {
	t.Helper()
	c, err := net.Dial("tcp", p.http)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n\r\n%s",
		plainType, base64.StdEncoding.EncodeToString([]byte(toyUser+":"+toyPassword)), len(message), message)
	return func() { c.Close() }
}
