// Package wsman runs commands on Windows machines through WS-Management, which
// Windows calls WinRM.
package wsman
