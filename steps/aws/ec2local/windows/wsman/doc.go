// Package wsman is the WinRM service of an embedded Windows machine: WS-Management
// over HTTP and HTTPS with remote shells.
package wsman
