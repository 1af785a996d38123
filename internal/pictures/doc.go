// Command pictures records imgflow at a terminal, as the pictures of the
// documentation show it: each of them is a command that runs over the embedded EC2,
// at a terminal which is an emulator, and becomes an SVG.
//
//	go run ./internal/pictures docs/images     // make pictures
//
// A recording is a strip of what the terminal showed, four times a second, that a
// style sheet draws along; who wants less motion sees its end. Lines that were shown
// more than once are stored once. Nothing in an SVG is loaded from anywhere, and none
// has a script: pages of a repository show it as it is.
//
// Ids and times differ from one recording to the next; what is shown does not.
package main
