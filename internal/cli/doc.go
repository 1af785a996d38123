// Package cli is the program: its commands, and how what they do is shown.
//
// Each command is one file here, named as the command. Only wire.go knows which
// kinds of step there are. What is shown, and how, lies in internal/render.
package cli
