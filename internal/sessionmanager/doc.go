// Package sessionmanager speaks the data channel of Systems Manager's Session Manager,
// as far as port forwarding needs it: both the client's side and that of the agent on
// the machine, which the embedded EC2 plays.
//
//	client, err := sessionmanager.Open(ctx, session, sessionmanager.Dialer{HTTP: h, Resume: resume})
//	conn, err := client.Dial(ctx) // to the port that the session is for
//
// A session is begun, resumed and ended by calls of Systems Manager (StartSession,
// ResumeSession, TerminateSession), which are not made here. Each of the first two
// answers with the address of a WebSocket and a token.
//
// # Layers
//
//	link.go     messages over one WebSocket, which may break: a link
//	message.go  what a message of the data channel looks like
//	channel.go  what is sent arrives once and in order, over one link after another
//	mux.go      many streams over one channel: version 1 of github.com/xtaci/smux
//	client.go   the side that opens streams
//	agent.go    the side that has the port
//
// The client says in its first message, in the clear text of the WebSocket, which token
// it has. Then the agent asks for what both have to know (handshake), and the bytes of
// the streams go in messages of 1 KiB. Each is acknowledged by its number; what is not,
// is sent again after a second, and after a link was replaced. The agent of AWS does not
// acknowledge again what it has had: that is told by later messages which it does.
//
// # Bounds
//
// Neither side trusts the other. A message has at most 256 KiB. What nobody has read yet
// is at most 5 MiB in each direction: more is not acknowledged, and comes again. A side
// that acknowledges nothing for 30 seconds while there is a link ends the session, and so
// does one that sends what is no frame. A link over which nothing comes for 30 seconds
// is cut. A channel without a link for a minute is given up.
//
// The agent must have version 3.0.196.0 or later, of 2020: earlier ones know no streams.
package sessionmanager
