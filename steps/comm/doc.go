// Package comm reaches machines: it says how to reach one (Endpoint, Machine),
// keeps the live connections (Pool), copies files and directories, and runs
// scripts so that they survive the connection and the caller.
package comm
