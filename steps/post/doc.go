// Package post holds the post-processors of a template: the steps that come when
// all is done to what was built.
//
// Each is one struct. Its exported fields are the options, under the names that
// templates use; Check says what is wrong with them before anything is made, Add
// puts the struct itself into a graph, and Do does the work. It takes a
// [steps.Product], what was made in Packer's words, and hands one on: the same, or
// that of what it has made itself.
//
//	manifest     [Manifest]    notes in a file what was made
//	shell-local  [ShellLocal]  scripts on this computer
//	checksum     [Checksum]    checksums of files
//	compress     [Compress]    an archive of files
//	artifice     [Artifice]    files stand for what was made
//
// # What stays
//
// What was built is a result before the first post-processor begins, and stays one
// whatever becomes of them. It goes only where the template says keep_input_artifact
// = false, and when all of them have come to a good end: see [steps.Discard].
//
// # Interruptions
//
// What is written is written whole, under another name first. Who appends to a file
// that others append to does so in turn with them, and a second call finds what the
// first has written: the entry is known by the time that it was first begun at.
// A local script dies with this process and starts again from its beginning.
package post
