package posh

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// host is the console: where text goes that nobody captures.
type host struct {
	s       *shell
	out     io.Writer
	err     io.Writer
	code    *encoding
	newline string
	xml     bool // records go to stderr as CLIXML
	opened  bool
	form    *formatter
	onError func(*errorRecord)
	broken  error
}

func newHost(o Options, s *shell) *host {
	h := &host{s: s, out: o.Stdout, err: o.Stderr, newline: "\r\n", code: encodings["utf-8"]}
	if o.core {
		h.newline = "\n"
	}
	switch o.Codepage {
	case 437:
		h.code = encodings["ibm437"]
	case 1252:
		h.code = encodings["windows-1252"]
	}
	if h.out == nil {
		h.out = io.Discard
	}
	if h.err == nil {
		h.err = io.Discard
	}
	h.form = &formatter{s: s, line: h.line}
	return h
}

// port is where the pipeline's output goes when nothing takes it.
func (h *host) port() *port { return &port{put: h.form.put, host: true} }

func (h *host) raw(text string) error {
	if h.broken == nil {
		_, h.broken = h.out.Write(h.code.encode(text))
	}
	if h.broken != nil { // nobody reads any more
		return &exitErr{1}
	}
	return nil
}

func (h *host) line(text string) error { return h.raw(text + h.newline) }

// record shows what a stream carries.
func (h *host) record(stream int, v any) error {
	if stream != streamError || h.xml {
		if err := h.form.flush(); err != nil {
			return err
		}
	}
	switch r := v.(type) {
	case *errorRecord:
		if h.onError != nil {
			h.onError(r)
			return nil
		}
		return h.errorText(h.s.errorText(r))
	case *messageRecord:
		switch r.kind {
		case "Warning", "Verbose", "Debug":
			if h.xml {
				return h.clixml(strings.ToLower(r.kind), r.msg)
			}
			return h.line(strings.ToUpper(r.kind) + ": " + r.msg)
		}
		if r.same {
			return h.raw(r.msg)
		}
		return h.line(r.msg)
	}
	return h.errorText(h.s.text(v))
}

func (h *host) errorText(text string) error {
	if h.xml {
		for _, l := range strings.Split(text, "\n") {
			if err := h.clixml("Error", l+"\r\n"); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := h.err.Write(h.code.encode(strings.ReplaceAll(text, "\n", h.newline) + h.newline))
	if err != nil {
		return &exitErr{1}
	}
	return nil
}

var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\"", "&quot;")

// clixml writes a record as powershell.exe does for another PowerShell.
func (h *host) clixml(kind, text string) error {
	var b strings.Builder
	if !h.opened {
		h.opened = true
		b.WriteString("#< CLIXML" + h.newline + `<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">`)
	}
	b.WriteString(`<S S="` + kind + `">`)
	for _, r := range xmlText.Replace(text) {
		if r < ' ' || r == 0x7f {
			fmt.Fprintf(&b, "_x%04X_", r)
		} else {
			b.WriteRune(r)
		}
	}
	b.WriteString("</S>")
	if _, err := h.err.Write(h.code.encode(b.String())); err != nil {
		return &exitErr{1}
	}
	return nil
}

func (h *host) close() {
	// What is left to show when nobody reads is lost, as it is on Windows.
	_ = h.form.flush()
	if h.opened {
		_, _ = h.err.Write([]byte("</Objs>"))
	}
}

// errorText is an error as powershell.exe shows it, lines joined by \n.
func (s *shell) errorText(r *errorRecord) string {
	msg := r.message()
	if r.command != "" {
		msg = r.command + " : " + msg
	}
	if p := s.positionMessage(r); p != "" {
		msg += "\n" + p
	}
	return msg + "\n    + CategoryInfo          : " + s.categoryText(r) + "\n    + FullyQualifiedErrorId : " + r.id + "\n "
}

func (r *errorRecord) categoryName() string {
	if r.category == "" {
		return "NotSpecified"
	}
	return r.category
}

func (r *errorRecord) reason() string { return shortName(r.exc.typ) }

func (s *shell) categoryText(r *errorRecord) string {
	target := s.text(r.target)
	if len(target) > 40 {
		target = target[:17] + "..." + target[len(target)-17:]
	}
	kind := shortName(typeNameOf(r.target))
	return fmt.Sprintf("%s: (%s:%s) [%s], %s", r.categoryName(), target, kind, r.command, r.reason())
}

func (s *shell) positionMessage(r *errorRecord) string {
	if r.src == nil {
		return ""
	}
	line, col := r.src.position(r.at.from)
	text, from := r.src.line(r.at.from)
	where := "line"
	if r.src.file != "" {
		where = r.src.file
	}
	marks := min(r.at.to, from+len([]rune(text))) - r.at.from
	return fmt.Sprintf("At %s:%d char:%d\n+ %s\n+ %s%s", where, line, col, text, strings.Repeat(" ", r.at.from-from), strings.Repeat("~", max(1, marks)))
}

// fatal shows the error that ends the process.
func (h *host) fatal(err error) {
	_ = h.form.flush()
	var t *thrown
	switch {
	case errors.As(err, &t):
		t.rec.counted = true
		if h.onError != nil {
			h.onError(t.rec)
			return
		}
		_ = h.errorText(h.s.errorText(t.rec))
	default:
		_ = h.errorText("powershell : " + err.Error())
	}
}
