// Package postgres keeps runs in PostgreSQL, where many machines reach them. It is a
// backend of package state, whose documentation says what a run is.
//
//	home, err := postgres.Open(dir, "postgres://imgflow@db.example.com/imgflow")
//
// # Tables
//
// They are in the schema imgflow, which the first opener makes, and which an older
// program refuses (schema.go):
//
//	runs       one row a run: its summary, its epoch, its lease
//	entries    its records, documents and sealed secrets, with a checksum before each value
//	events     its events, one a row; their numbers rise in the order of the commits
//	offsets    up to where each stream of output is among the events
//	claims     how often each step was claimed
//	makers     which run makes a step that several need, and which runs wait for it
//	keys       the key by which such runs compare their secrets, sealed
//	workers    who does steps, and for which lanes of an engine, and was there just now
//	writers    the number of the last batch of each process that writes
//	schedules  what runs are made of again and again, and what was found out for it
//	blobs      contents by their SHA-256; run_blobs says which runs have them, schedule_blobs
//	           which schedules
//
// # Writes
//
// What a process writes to a run goes through one queue, in order: what is put off,
// events among it, goes with the next write that somebody waits for, or after a tenth of
// a second. A batch is one transaction. What it writes arrives first, however slow the line; then it locks the row of the run, and finds there
// whether its epoch is over (then it is a *state.FencedError, and nothing of it is
// written), and in the row of its writer whether an earlier try, whose answer was lost,
// was committed. So a connection may break at any moment: a write is tried again for
// a minute, and is there once.
//
// # Who may write
//
// A process that creates or opens a run has a lease of it, by the clock of the database,
// and renews it. Whoever finds it expired takes the run and raises the epoch; what had
// it and was only paused learns that at its next write, or renewal. A run that is
// assigned has no lease: an engine knows who lives. Its epoch is known to those that join
// it, and a claim of a step is to one step what the epoch is to the run.
package postgres
