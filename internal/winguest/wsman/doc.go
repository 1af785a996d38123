// Package wsman is the WinRM service of an embedded Windows machine: what clients
// of WS-Management find on ports 5985 and 5986. The machine stands behind it as a
// [Backend], which it asks for passwords, for its configuration, and to start
// programs.
//
//	s := wsman.New(machine)
//	go s.Serve(http)
//	go s.ServeTLS(https, certificate)
//	...
//	s.Close() // the machine goes down: connections, shells and processes end
//
// It is as strict as Windows, so that what works here has a chance there.
//
// # What is spoken
//
// POST to /wsman, HTTP/1.1, with or without TLS (1.2 and later). Messages are SOAP
// 1.2 in UTF-8 or UTF-16, and answered in the same. Faults come with status 500,
// the code of WS-Management or of Windows in f:WSManFault, and a text of our own.
//
//   - Identify: with the header WSMANIDENTIFY: unauthenticated, or at
//     /wsman-anon/identify, by anybody, who is told no version of the system.
//   - Remote shells, http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd:
//     Create, Get, Delete, Command, Send, Receive, Signal (ctrl_c, ctrl_break,
//     terminate). Options WINRS_NOPROFILE, WINRS_CODEPAGE, WINRS_CONSOLEMODE_STDIN,
//     WINRS_SKIP_CMD_SHELL; Environment, WorkingDirectory, IdleTimeOut, Lifetime,
//     InputStreams, OutputStreams; IDs of shells and commands that clients choose.
//   - Get of http://schemas.microsoft.com/wbem/wsman/1/config, for
//     MaxEnvelopeSizekb and MaxTimeoutms only.
//
// # What is refused
//
//   - Other resources (PowerShell remoting, WMI, the rest of the configuration),
//     other actions (Enumerate, Pull, Subscribe, Connect, Disconnect, Reconnect),
//     compression, headers that must be understood and are not.
//   - Requests larger than MaxEnvelopeSizeKB (w:EncodingLimit; 413 if sealed), a
//     document type, more than 32 levels or 10,000 elements, addresses and IDs of
//     more than 1,024 bytes, a MaxEnvelopeSize below 8,192.
//   - Accounts that a [Backend] with a [Guard] keeps out: w:AccessDenied, 5.
//   - More shells, commands or operations than the service allows (w:QuotaLimit),
//     others' shells.
//
// # Who may speak
//
// Basic and Negotiate, each if the service allows it. Basic belongs to a request;
// Negotiate authenticates the connection until it ends, another token comes, or
// the account is gone. Negotiate is NTLMv2, as it is or in SPNEGO; Kerberos alone
// is refused, since the machine is in no domain, and so is the scheme NTLM, which
// WinRM does not offer. Sessions must have 128 bits, extended session security and
// Unicode. A MIC is checked when the client says that it sent one, SPNEGO's own
// integrity code when it is there, and must be there unless NTLM was the client's
// first choice. Names are user, HOST\user, .\user or user@HOST; with NTLM any
// domain will do, as on a machine of a workgroup.
//
// Channel bindings (RFC 5929, tls-server-end-point) count over TLS only:
// CbtHardening Relaxed refuses wrong ones, Strict also none.
//
// A message is plain or sealed (multipart/encrypted with
// application/HTTP-SPNEGO-session-encrypted). Without TLS and AllowUnencrypted, a
// plain one is answered by 500 without content, after its user was authenticated.
// An empty one is answered by 200: so do clients authenticate a connection before
// they have keys to seal with. Once a sealed message came, a plain one takes the
// authentication away and is answered by 401. A message that was not sealed with
// the next sequence number of its own connection is answered by 400, and the
// connection ends.
//
// # How shells live
//
// A shell is idle when no request to it is under way, whatever runs in it; what a
// program writes waits until it is received. See shell.go.
//
// # What could not be compared with a real Windows
//
// The form of answers and faults follows exchanges with Windows servers that the
// authors of clients have published, as well as [MS-WSMV], [MS-NLMP] and [MS-SPNG].
// Not verified by any of these:
//
//   - 500 for plain messages that are not allowed: clients report it for Negotiate;
//     for Basic it may be 401. 400 for a bad seal, 413, 415 and the 401 that plain
//     messages on a sealed connection get.
//   - That a later Receive wins over an earlier one, the repeated end, that Send is
//     all or nothing, 995 and 232.
//   - The code of a request that is too large (2150858805) and of too many commands
//     (2150859241); which URI is the detail of faults that clients do not look at.
//   - WSMAN_CMDSHELL_OPTION_KEEPALIVE changes nothing here.
//   - Basic takes names and passwords as UTF-8, and as ISO 8859-1 if they are none.
package wsman
