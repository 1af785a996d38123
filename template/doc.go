// Package template reads build templates: what the user wants made, before it is known how.
//
// [Parse] reads a Packer-style JSON template. Every key and value keeps its place in the file, and all
// that is wrong with the file is reported at once ([Errors]). [Template.Evaluate] then resolves variables
// and template strings, and folds the provisioners and post-processors into each build that was
// chosen: the result is still data, an object of options for each builder and provisioner. The package knows
// no kind of builder or provisioner; package compile gives them meaning.
//
// # Two kinds of text
//
// A [Value] straight from the file holds text as the user wrote it. After Evaluate, a text is what
// interp.Early made of it: every action that needs no running build is evaluated, the others still stand in it,
// and a sensitive value is a marker whose real value is in Evaluated.Secrets. Use interp.Plain
// or interp.Late to get the final text.
//
// # Places
//
// A [Pos] is a file, a line and a column in characters, both counted from 1. Text keeps the place of its
// opening quote; [Value.At] finds the place of a byte inside of it. A value that came from the command line has
// a Pos without a line.
//
// The excerpts of [Errors] cover what may be a secret with bullets: the values of names such as password or token, also
// inside of another text, and of sensitive variables. Messages do not quote it either; see [Value.Secret].
//
// # Variables
//
// A variable's value is the last one given: default, then each variable file in order, then the
// command line. A default of null makes the variable required; a null in a file is empty text, and a value.
// Variables may use each other in any order, but not in a circle. What nothing declares is an error there; in the rest
// of the template it is empty text, and one of Evaluated.Warnings.
package template
