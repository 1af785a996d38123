package posh

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// outside is the refusal of something that is not in the subset.
type outside struct {
	what string
	file string
	line int
}

func (e *outside) Error() string {
	where := ""
	if e.line > 0 {
		where = fmt.Sprintf(" (line %d", e.line)
		if e.file != "" {
			where += " of " + e.file
		}
		where += ")"
	}
	return fmt.Sprintf("cannot run %s%s: it is %s", e.what, where, ErrOutside)
}

func (e *outside) Unwrap() error { return ErrOutside }

// refuse makes the error for a construct outside of the subset.
func (s *shell) refuse(format string, args ...any) error {
	o := &outside{what: fmt.Sprintf(format, args...)}
	if s.src != nil {
		o.line, _ = s.src.position(s.at.from)
		o.file = s.src.file
	}
	return o
}

// Flow of control travels as errors.
type (
	breakErr    struct{ label string }
	continueErr struct{ label string }
	returnErr   struct{}
	exitErr     struct{ code int }
	stopErr     struct { // a later command wants no more input
		at  int
		who *int // the pipeline; nil until it has been passed
	}
)

func (*breakErr) Error() string    { return "break outside of a loop" }
func (*continueErr) Error() string { return "continue outside of a loop" }
func (*returnErr) Error() string   { return "return" }
func (*exitErr) Error() string     { return "exit" }
func (*stopErr) Error() string     { return "enough input" }

// thrown is an error on its way up. A hard one (throw, ErrorAction Stop) ends the
// script, a soft one the statement; inside of try both go to catch.
type thrown struct {
	rec   *errorRecord
	hard  bool
	throw bool
}

func (t *thrown) Error() string { return t.rec.message() }

// exception is a .NET exception.
type exception struct {
	typ   string
	msg   string
	inner *exception
	data  map[string]any
}

func (x *exception) typeName() string { return x.typ }

// hresult is the number of an exception, where it is known.
func (x *exception) hresult() (int32, bool) {
	var n uint32
	switch x.typ {
	case "System.IO.FileNotFoundException":
		n = 0x80070002
	case "System.IO.DirectoryNotFoundException":
		n = 0x80070003
	case "System.UnauthorizedAccessException":
		n = 0x80070005
	case "System.ArgumentException":
		n = 0x80070057
	case runtimeException, "System.Management.Automation.MethodInvocationException":
		n = 0x80131501
	case "System.IO.IOException":
		switch {
		case strings.Contains(x.msg, "being used by another process"):
			n = 0x80070020
		case strings.Contains(x.msg, "directory is not empty"):
			n = 0x80070091
		default:
			return 0, false
		}
	default:
		return 0, false
	}
	return int32(n), true
}
func (x *exception) String() string {
	return x.typ + ": " + x.msg
}

// errorRecord is what scripts see of an error.
type errorRecord struct {
	exc      *exception
	id       string
	category string
	target   any
	command  string // that reported it
	src      *source
	at       span
	counted  bool
	details  string
}

func (r *errorRecord) message() string {
	if r.details != "" {
		return r.details
	}
	return r.exc.msg
}

func (r *errorRecord) typeName() string { return "System.Management.Automation.ErrorRecord" }
func (r *errorRecord) String() string   { return r.message() }

const runtimeException = "System.Management.Automation.RuntimeException"

// fault makes a runtime error.
func fault(id, format string, args ...any) *Error {
	return &Error{ID: id, Message: fmt.Sprintf(format, args...)}
}

// dotnet makes the error of a .NET exception.
func dotnet(typ, format string, args ...any) *Error {
	return &Error{ID: typ[strings.LastIndexByte(typ, '.')+1:], Exception: typ, Message: fmt.Sprintf(format, args...)}
}

// isFlow tells errors that no script can catch.
func isFlow(err error) bool {
	return is[*breakErr](err) || is[*continueErr](err) || is[*returnErr](err) || is[*exitErr](err) || is[*stopErr](err)
}

// is tells an error by its type.
func is[T error](err error) bool {
	var t T
	return err != nil && errors.As(err, &t)
}

// passes tells errors that a script must not see: flow, refusals and the end of
// the process.
func (s *shell) passes(err error) bool {
	if isFlow(err) || errors.Is(err, ErrOutside) {
		return true
	}
	return s.ctx.Err() != nil || errors.Is(err, errBudget)
}

// asThrown makes of any error one that a script can catch.
func (s *shell) asThrown(err error) *thrown {
	var t *thrown
	if errors.As(err, &t) {
		return t
	}
	return &thrown{rec: s.record(err, nil)}
}

// record makes the ErrorRecord of an error.
func (s *shell) record(err error, c *Call) *errorRecord {
	var t *thrown
	if errors.As(err, &t) {
		return t.rec
	}
	e := asError(err)
	if e.record != nil {
		return e.record
	}
	typ := e.Exception
	if typ == "" {
		typ = runtimeException
	}
	r := &errorRecord{exc: &exception{typ: typ, msg: e.Message}, id: e.ID, category: e.Category, target: e.Target, src: s.src, at: s.at, details: e.Details}
	for x, in := r.exc, e.inner; in != nil; x, in = x.inner, in.inner {
		x.inner = &exception{typ: in.Exception, msg: in.Message}
	}
	switch {
	case e.Target == nil:
	case typ == "System.Management.Automation.CommandNotFoundException":
		r.exc.data = map[string]any{"commandname": e.Target}
	case typ == "System.Management.Automation.ItemNotFoundException":
		r.exc.data = map[string]any{"itemname": e.Target}
	}
	if c != nil {
		r.command = c.def.Name
		if c.def.Class != "-" {
			if r.id == "" {
				r.id = typ
			}
			r.id += "," + c.def.class()
		}
	}
	return r
}

// asError gives any error the form that scripts see.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var pe *parseError
	if errors.As(err, &pe) {
		return &Error{ID: pe.id, Message: pe.Error(), Exception: "System.Management.Automation.ParseException", Category: "ParserError"}
	}
	switch {
	case errors.Is(err, ErrSharing):
		return &Error{ID: "IOException", Exception: "System.IO.IOException", Message: err.Error(), Category: "OpenError"}
	case errors.Is(err, fs.ErrNotExist):
		return &Error{ID: "FileNotFoundException", Exception: "System.IO.FileNotFoundException", Message: err.Error(), Category: "ObjectNotFound"}
	case errors.Is(err, fs.ErrPermission):
		return &Error{ID: "UnauthorizedAccessException", Exception: "System.UnauthorizedAccessException", Message: err.Error(), Category: "PermissionDenied"}
	}
	return &Error{ID: "IOException", Exception: "System.IO.IOException", Message: err.Error(), Category: "WriteError"}
}

// exceptionParents are the base types of exceptions, up to Exception.
var exceptionParents = map[string]string{
	"System.SystemException":                                               "System.Exception",
	"System.ApplicationException":                                          "System.Exception",
	"System.ArgumentException":                                             "System.SystemException",
	"System.ArgumentNullException":                                         "System.ArgumentException",
	"System.ArgumentOutOfRangeException":                                   "System.ArgumentException",
	"System.ArithmeticException":                                           "System.SystemException",
	"System.DivideByZeroException":                                         "System.ArithmeticException",
	"System.OverflowException":                                             "System.ArithmeticException",
	"System.FormatException":                                               "System.SystemException",
	"System.IndexOutOfRangeException":                                      "System.SystemException",
	"System.InvalidCastException":                                          "System.SystemException",
	"System.InvalidOperationException":                                     "System.SystemException",
	"System.ObjectDisposedException":                                       "System.InvalidOperationException",
	"System.NotSupportedException":                                         "System.SystemException",
	"System.NotImplementedException":                                       "System.SystemException",
	"System.NullReferenceException":                                        "System.SystemException",
	"System.OutOfMemoryException":                                          "System.SystemException",
	"System.OperationCanceledException":                                    "System.SystemException",
	"System.TimeoutException":                                              "System.SystemException",
	"System.UnauthorizedAccessException":                                   "System.SystemException",
	"System.Security.SecurityException":                                    "System.SystemException",
	"System.Collections.Generic.KeyNotFoundException":                      "System.SystemException",
	"System.IO.IOException":                                                "System.SystemException",
	"System.IO.FileNotFoundException":                                      "System.IO.IOException",
	"System.IO.DirectoryNotFoundException":                                 "System.IO.IOException",
	"System.IO.EndOfStreamException":                                       "System.IO.IOException",
	"System.IO.PathTooLongException":                                       "System.IO.IOException",
	"System.IO.InvalidDataException":                                       "System.SystemException",
	"System.ComponentModel.Win32Exception":                                 "System.SystemException",
	"System.Net.WebException":                                              "System.InvalidOperationException",
	"System.Management.Automation.RuntimeException":                        "System.SystemException",
	"System.Management.Automation.ParseException":                          "System.Management.Automation.RuntimeException",
	"System.Management.Automation.PSInvalidCastException":                  "System.InvalidCastException",
	"System.Management.Automation.PSArgumentException":                     "System.ArgumentException",
	"System.Management.Automation.PSInvalidOperationException":             "System.InvalidOperationException",
	"System.Management.Automation.CommandNotFoundException":                "System.Management.Automation.RuntimeException",
	"System.Management.Automation.MethodException":                         "System.Management.Automation.ExtendedTypeSystemException",
	"System.Management.Automation.MethodInvocationException":               "System.Management.Automation.MethodException",
	"System.Management.Automation.ExtendedTypeSystemException":             "System.Management.Automation.RuntimeException",
	"System.Management.Automation.GetValueException":                       "System.Management.Automation.ExtendedTypeSystemException",
	"System.Management.Automation.SetValueException":                       "System.Management.Automation.ExtendedTypeSystemException",
	"System.Management.Automation.SetValueInvocationException":             "System.Management.Automation.SetValueException",
	"System.Management.Automation.PropertyNotFoundException":               "System.Management.Automation.ExtendedTypeSystemException",
	"System.Management.Automation.ActionPreferenceStopException":           "System.Management.Automation.RuntimeException",
	"System.Management.Automation.ArgumentTransformationMetadataException": "System.Management.Automation.MetadataException",
	"System.Management.Automation.MetadataException":                       "System.Management.Automation.RuntimeException",
	"System.Management.Automation.ValidationMetadataException":             "System.Management.Automation.MetadataException",
	"System.Management.Automation.ParameterBindingException":               "System.Management.Automation.RuntimeException",
	"System.Management.Automation.SessionStateException":                   "System.Management.Automation.RuntimeException",
	"System.Management.Automation.SessionStateUnauthorizedAccessException": "System.Management.Automation.SessionStateException",
	"System.Management.Automation.ItemNotFoundException":                   "System.Management.Automation.SessionStateException",
	"System.Management.Automation.ScriptRequiresException":                 "System.Management.Automation.RuntimeException",
	"System.Management.Automation.DriveNotFoundException":                  "System.Management.Automation.SessionStateException",
	"System.Management.Automation.ApplicationFailedException":              "System.Management.Automation.RuntimeException",
	"Microsoft.PowerShell.Commands.WriteErrorException":                    "System.SystemException",
	"Microsoft.PowerShell.Commands.ProcessCommandException":                "System.SystemException",
	"Microsoft.PowerShell.Commands.ServiceCommandException":                "System.SystemException",
	"Microsoft.Management.Infrastructure.CimException":                     "System.Exception",
	"System.ServiceProcess.TimeoutException":                               "System.SystemException",
	"System.Security.Cryptography.CryptographicException":                  "System.SystemException",
}

// exceptionMembers are what exceptions have beside that which all have: it is
// refused where it is not known.
var exceptionMembers = map[string]string{
	"System.Management.Automation.RuntimeException":          "WasThrownFromThrowStatement",
	"System.Management.Automation.CommandNotFoundException":  "CommandName",
	"System.Management.Automation.SessionStateException":     "ItemName SessionStateCategory",
	"System.Management.Automation.ParameterBindingException": "ParameterName ParameterType TypeSpecified ErrorId Line Offset CommandInvocation",
	"System.Management.Automation.ParseException":            "Errors",
	"System.ArgumentException":                               "ParamName",
	"System.ArgumentOutOfRangeException":                     "ActualValue",
	"System.IO.FileNotFoundException":                        "FileName FusionLog",
	"System.Net.WebException":                                "Response Status",
	"System.ComponentModel.Win32Exception":                   "NativeErrorCode ErrorCode",
	"Microsoft.PowerShell.Commands.ProcessCommandException":  "ProcessName",
	"Microsoft.PowerShell.Commands.ServiceCommandException":  "ServiceName",
	"Microsoft.Management.Infrastructure.CimException":       "NativeErrorCode StatusCode MessageId ErrorData ErrorSource ErrorType",
}

// hasMember tells whether an exception of that type has a member beside the usual.
func hasMember(typ, name string) bool {
	for kind, names := range exceptionMembers {
		if isException(typ, kind) && slices.ContainsFunc(strings.Fields(names), func(n string) bool { return strings.EqualFold(n, name) }) {
			return true
		}
	}
	return false
}

// isException tells whether a type is an exception of a kind.
func isException(typ, kind string) bool {
	for typ != "" {
		if strings.EqualFold(typ, kind) {
			return true
		}
		if strings.EqualFold(typ, "System.Exception") {
			return false
		}
		up, ok := exceptionParents[typ]
		if !ok {
			up = "System.Exception"
		}
		typ = up
	}
	return false
}
