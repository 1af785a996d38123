package wsman

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// What Windows' headers call the errors that mean something to us.
const (
	codeBrokenPipe  = 109        // ERROR_BROKEN_PIPE
	codeNoData      = 232        // ERROR_NO_DATA, the pipe is being closed
	facilityWindows = 0x80070000 // the same as HRESULTs

	codeNotFound            = 0x80338000 // ERROR_WSMAN_RESOURCE_NOT_FOUND
	codeTooLarge            = 0x80338026 // ERROR_WSMAN_ENVELOPE_TOO_LARGE
	codeTimedOut            = 0x80338029 // ERROR_WSMAN_OPERATION_TIMEDOUT, a Receive without output
	codeEncodingLimit       = 0x80338035 // ERROR_WSMAN_ENCODING_LIMIT
	codeUnexpectedSelectors = 0x8033805b // ERROR_WSMAN_UNEXPECTED_SELECTORS, no such shell or command
)

// reply is an answer of the machine. Names are matched without their prefixes.
type reply struct {
	XMLName xml.Name `xml:"Envelope"`
	Body    struct {
		ShellID   string     `xml:"Shell>ShellId"`
		Selectors []selector `xml:"ResourceCreated>ReferenceParameters>SelectorSet>Selector"`
		CommandID string     `xml:"CommandResponse>CommandId"`
		Receive   *received  `xml:"ReceiveResponse"`
		Fault     *fault     `xml:"Fault"`
	} `xml:"Body"`
}

type selector struct {
	Name  string `xml:"Name,attr"`
	Value string `xml:",chardata"`
}

type received struct {
	Streams []struct {
		Name string `xml:"Name,attr"`
		Data string `xml:",chardata"`
	} `xml:"Stream"`
	State struct {
		State string  `xml:"State,attr"`
		Code  *string `xml:"ExitCode"`
	} `xml:"CommandState"`
}

type fault struct {
	Code    string   `xml:"Code>Value"`
	Subcode string   `xml:"Code>Subcode>Value"`
	Reason  []string `xml:"Reason>Text"`
	Windows []struct {
		Code    string `xml:"Code,attr"`
		Message struct {
			Text string `xml:",chardata"`
			Deep []struct {
				Text string `xml:",chardata"`
				More []struct {
					Text string `xml:"Message"`
				} `xml:"WSManFault"`
			} `xml:"ProviderFault"`
		} `xml:"Message"`
	} `xml:"Detail>WSManFault"`
}

// What an answer is made of. One of Windows has 12 levels and some hundred elements;
// each costs more memory than it has bytes.
const (
	maxLevels   = 64
	maxElements = 10_000
)

var errElements = errors.New("it has too many elements")

// sober reads XML up to a number of elements and levels.
type sober struct {
	d           *xml.Decoder
	level, seen int
}

func (s *sober) Token() (xml.Token, error) {
	t, err := s.d.RawToken()
	switch t.(type) {
	case xml.StartElement:
		s.level++
		s.seen++
	case xml.EndElement:
		s.level--
	}
	if s.level > maxLevels || s.seen > maxElements {
		return nil, errElements
	}
	return t, err
}

func parse(body []byte) (*reply, error) {
	var r reply
	err := xml.NewTokenDecoder(&sober{d: xml.NewDecoder(bytes.NewReader(body))}).Decode(&r)
	if errors.Is(err, errElements) {
		return nil, err
	}
	if err != nil {
		return nil, errors.New("it is no SOAP envelope that can be read")
	}
	return &r, nil
}

// shell is the shell that was made: machines say it in one place, or in both.
func (r *reply) shell() string {
	for _, s := range r.Body.Selectors {
		if s.Name == "ShellId" {
			return s.Value
		}
	}
	return r.Body.ShellID
}

// identity is what may stand in our next message as it is.
var identity = regexp.MustCompile(`^[A-Za-z0-9:._{}-]{1,128}$`)

// id checks the name that the machine gave to what was made.
func (r *reply) id(op, name string) (string, error) {
	name = strings.TrimSpace(name)
	if !identity.MatchString(name) {
		return "", fmt.Errorf("cannot %s: the machine did not say what it is called", op)
	}
	return name, nil
}

var space = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "")

// output is what a Receive brought.
func (r *reply) output() (Output, error) {
	var out Output
	if r.Body.Receive == nil {
		return out, errors.New("the machine answered something else")
	}
	for _, s := range r.Body.Receive.Streams {
		data, err := base64.StdEncoding.DecodeString(space.Replace(s.Data))
		if err != nil {
			return Output{}, errors.New("what the machine sent is not base64")
		}
		switch s.Name {
		case "stdout":
			out.Stdout = append(out.Stdout, data...)
		case "stderr":
			out.Stderr = append(out.Stderr, data...)
		}
	}
	state := r.Body.Receive.State
	if !strings.HasSuffix(state.State, "/CommandState/Done") {
		return out, nil
	}
	if state.Code == nil {
		return Output{}, errors.New("the machine says that the command ended, but not how: it was ended by somebody, or could not start")
	}
	// Some versions write -1, others 4294967295.
	n, err := strconv.ParseInt(strings.TrimSpace(*state.Code), 10, 64)
	if err != nil || n < -1<<31 || n > 1<<32-1 {
		return Output{}, errors.New("the machine gave an exit code that is no number of 32 bits")
	}
	out.Done, out.Code = true, int(int32(n))
	return out, nil
}

func local(name string) string {
	name = strings.TrimSpace(name)
	return name[strings.LastIndexByte(name, ':')+1:]
}

// err is the fault as an error. What the machine wrote goes through clean.
func (f *fault) err(op string, clean func(string) string) error {
	e := &FaultError{Op: op, Code: clean(local(f.Code)), Subcode: clean(local(f.Subcode))}
	for _, w := range f.Windows {
		n, _ := strconv.ParseUint(strings.TrimSpace(w.Code), 10, 32)
		e.WSMan = uint32(n)
		e.Text = clean(w.Message.Text)
		for _, d := range w.Message.Deep {
			if t := clean(d.Text); t != "" {
				e.Text = t
			}
			for _, m := range d.More {
				if t := clean(m.Text); t != "" {
					e.Text = t
				}
			}
		}
	}
	if e.Text == "" {
		e.Text = clean(strings.Join(f.Reason, " "))
	}
	return e
}
