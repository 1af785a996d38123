// Package windows is a Windows machine made of Go code and a folder: a drive, a
// registry, accounts, services, tasks, processes and a network service, as far as
// building images on one needs them.
package windows
