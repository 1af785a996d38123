package wsman

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/masterzen/winrm"
	"github.com/masterzen/winrm/soap"
)

// MaxCommand is how many UTF-16 units a command may have: cmd.exe takes 8,191
// with its own name and /c.
const MaxCommand = 8150

const cmdShell = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"

// room is how many bytes of input fit into a request of a size, in base64 and
// with all that is around them.
func room(envelope int64) int { return int(envelope-4096) / 4 * 3 }

func seconds(d time.Duration) string { return fmt.Sprintf("PT%.3fS", d.Seconds()) }

func (c *Client) params(wait time.Duration) *winrm.Parameters {
	return winrm.NewParameters(seconds(wait), "en-US", int(c.envelope.Load()))
}

// header begins a message for which the library's own has other options than
// we need.
func (c *Client) header(m *soap.SoapMessage, action string) *soap.SoapHeader {
	return m.Header().
		To(c.url).
		ReplyTo("http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous").
		MaxEnvelopeSize(int(c.envelope.Load())).
		Id("uuid:" + uuid.NewString()).
		Locale("en-US").
		Timeout(seconds(operationTime)).
		Action(action).
		ResourceURI(cmdShell)
}

func (c *Client) createRequest() []byte {
	m := soap.NewMessage()
	c.header(m, "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create").
		AddOption(soap.NewHeaderOption("WINRS_NOPROFILE", "FALSE")).
		AddOption(soap.NewHeaderOption("WINRS_CODEPAGE", "65001")).
		Build()
	shell := m.CreateBodyElement("Shell", soap.DOM_NS_WIN_SHELL)
	m.CreateElement(shell, "IdleTimeOut", soap.DOM_NS_WIN_SHELL).SetContent(seconds(c.idle))
	m.CreateElement(shell, "InputStreams", soap.DOM_NS_WIN_SHELL).SetContent("stdin")
	m.CreateElement(shell, "OutputStreams", soap.DOM_NS_WIN_SHELL).SetContent("stdout stderr")
	return []byte(m.String())
}

func (c *Client) commandRequest(shell, text string) []byte {
	m := soap.NewMessage()
	c.header(m, "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/Command").
		ShellId(shell).
		AddOption(soap.NewHeaderOption("WINRS_CONSOLEMODE_STDIN", "FALSE")).
		AddOption(soap.NewHeaderOption("WINRS_SKIP_CMD_SHELL", "FALSE")).
		Build()
	line := m.CreateBodyElement("CommandLine", soap.DOM_NS_WIN_SHELL)
	m.CreateElement(line, "Command", soap.DOM_NS_WIN_SHELL).SetContent(text)
	return []byte(m.String())
}

// commandText is a command as it stands in XML.
func commandText(command string) (string, error) {
	switch {
	case command == "":
		return "", errors.New("cannot start the command: it is empty")
	case !utf8.ValidString(command):
		return "", errors.New("cannot start the command: it is not UTF-8")
	}
	if n := len(utf16.Encode([]rune(command))); n > MaxCommand {
		return "", fmt.Errorf("cannot start the command: it has %d characters, and cmd.exe takes %d", n, MaxCommand)
	}
	for _, r := range command {
		if r < ' ' && r != '\t' || r == 0xfffe || r == 0xffff {
			return "", fmt.Errorf("cannot start the command: the character U+%04X cannot stand in a command of one line", r)
		}
	}
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(command)); err != nil {
		return "", fmt.Errorf("cannot start the command: %w", err)
	}
	return b.String(), nil
}

func (c *Client) sendRequest(shell, command string, data []byte, end bool) []byte {
	return []byte(winrm.NewSendInputRequest(c.url, shell, command, data, end, c.params(sendTime)).String())
}

func (c *Client) receiveRequest(shell, command string) []byte {
	return []byte(winrm.NewGetOutputRequest(c.url, shell, command, "stdout stderr", c.params(operationTime)).String())
}

func (c *Client) signalRequest(shell, command string) []byte {
	return []byte(winrm.NewSignalRequest(c.url, shell, command, c.params(operationTime)).String())
}

func (c *Client) deleteRequest(shell string) []byte {
	return []byte(winrm.NewDeleteShellRequest(c.url, shell, c.params(operationTime)).String())
}
