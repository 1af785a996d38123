// Package wsman runs commands on Windows machines through WS-Management, which
// Windows calls WinRM. Its messages are those of github.com/masterzen/winrm where
// that has them with the options we need; connections, logins and the reading of
// answers are ours.
//
//	c, err := wsman.New(wsman.Options{Host: "10.0.0.7", NTLM: true, User: "Administrator", Password: "…"})
//	k, err := c.Start(ctx, "powershell -NoProfile -Command -")
//	err = k.Send(ctx, []byte("Get-Date\n"), true)
//	for {
//		out, err := k.Receive(ctx) // until out.Done
//	}
//	err = k.Close(ctx)
//	err = c.Close(ctx)
//
// # Commands
//
// A client has one shell, which is made when the first command is started, made
// again when the machine has forgotten it (it started again, or ten minutes went
// by without a request), and holds all commands. They are lines of cmd.exe in
// code page 65001, and read a pipe and no console. What runs in the shell ends
// with it.
//
// A message is sent again only when it is sure that the machine did not act on
// it: a login that ended with its connection, a shell that is gone, a size that
// is refused. After any other failure it is not known what happened; a command's
// Send and Receive then refuse to go on, so that no hole in a stream goes
// unnoticed.
//
// Exit codes are signed 32 bits, as %ERRORLEVEL% shows them: 0xC000013A is
// -1073741510.
//
// # What it costs
//
// In HTTP requests: the shell 1, with NTLM 2 more for each connection, and
// then for each command
//
//	1 Command + n Send + m Receive + 1 Signal
//
// with n = 1 for each 380,928 bytes of input, which is 3 for a MiB (2008 R2 and
// others with a MaxEnvelopeSizekb of 150: 112,128 bytes, 10 for a MiB), and m as
// many as the machine answers in, at least one every 20 seconds. Delete is 1.
// In bytes: a request is about 1.5 kB and an answer 1 kB, sealing adds 0.3 kB,
// and input and output are base64. Against the embedded machine `echo hi` is 3
// requests, 4.8 kB there and 3.3 kB back (sealed 5.6 and 4.3), and a MiB of
// input 3 requests and 1.40 MB. TestCost holds the numbers.
//
// Requests that are under way at once each have a connection, which is kept for
// the next for a minute. Usually these are two: one where a Receive waits, and
// one for everything else.
//
// # Security
//
// With NTLM over HTTP every message and every answer is sealed, with keys of 128
// bits that belong to one connection. There is no way back: a machine that does
// not agree to it, or answers in the clear, is [ErrUnencrypted], and nothing but
// the login has been sent by then. The library below would agree to whatever is
// offered, so the offer is checked before it sees it. NTLM's sealing is RC4:
// over a network that others listen on, prefer HTTPS. A proxy for plain HTTP may
// share connections among its users, so NTLM over HTTP needs one that does not,
// or winrm_no_proxy.
//
// With Basic over HTTP everything, the password included, can be read on the
// wire.
//
// With TLS a certificate must be one of Options.Pins; or, with Insecure, the one
// that answered first; or in Options.CAs itself, whatever its names and dates;
// or signed, for the name in Options.Host, by one of Options.CAs or else of the
// system's authorities. NTLM over TLS is not sealed once more, but tied to the
// certificate by channel bindings, so that a login cannot be passed on.
//
// # Errors
//
// [AuthError] is a refused login, and says what the machine offers; [FaultError]
// is the machine's refusal of a request, in its own words; [CertificateError]
// says what was shown and which option helps; [HTTPError] is an answer from a web
// server that is no WinRM, or not yet; [NetError] is a connection that could not
// be made or broke. No error holds the password. A context that ends, ends any
// wait at once, with the context's error.
package wsman
