// Package websock opens and accepts WebSockets (RFC 6455, as github.com/coder/websocket has
// them), which lead to machines that no port is open at: those of Session Manager and of
// EC2 Instance Connect Endpoints.
//
//	c, err := websock.Dial(ctx, client, "wss://...")
//	conn := websock.Stream(c) // bytes instead of messages
//
// What is opened has TLS, or is on this machine. A WebSocket that a redirection leads to is not
// taken, and no error shows the address, which may be signed.
package websock
