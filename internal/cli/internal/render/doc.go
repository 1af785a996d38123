// Package render shows what imgflow knows to people and to programs: the events
// of a run as lines ([Lines]) or as JSON ([JSON]), plans, runs and templates as
// tables. It reads events, plans and summaries, and decides nothing.
//
// # Lines
//
// A heading says what is being done, "==> build: text"; everything else of a
// build, above all what its machine prints, is indented: "    build: line". A
// step that several builds share is shown once, with the names of all of them.
// Control sequences of remote output never reach the terminal, colours excepted.
package render
