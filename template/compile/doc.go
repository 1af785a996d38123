// Package compile turns an evaluated template into a graph of steps.
//
// It names no concrete step. A [Catalog] maps the type names of templates to makers of structs:
// [Decode] fills such a struct with the options that the user wrote, the struct checks itself, and then adds its
// steps to the graph. The graph of a build is a fold: the builder's front half makes a machine, each
// provisioner takes the machine and gives it back, the builder's back half makes an image of it.
//
// # Structs of options
//
// The name of an option is the field's json name. Embedded structs, and struct fields tagged
// option:"flatten", lend their options to the struct around them. References to steps ([dag.Out], [dag.Take])
// and fields tagged option:"-" or json:"-" are no options. A field may be a string, a boolean, any number, a
// [time.Duration], a [dag.Secret], a [dag.File], a struct, and a pointer to, slice of, or map from string to those.
// A pointer stays nil when the option is not given. The tag option takes words separated by commas:
//
//	required      the option must be there and not empty
//	unsupported   using it is an error that says "not supported yet", unless the value asks for nothing
//	off=x         the text x asks for nothing, too
//	deprecated=x  using it is an error that names x
//	late          the text, or each text and key in it, is a source for interp.Late: it may hold build-time actions
//	late=A+B      the same, but only {{ .A }} and {{ .B }}; the word build allows {{ build `…` }}, of
//	              every build value, or if A or B is one itself, of those that are listed
//	flatten       the options of the struct are options of the one around it
//	-             not an option
//
// Without late, a text is final: a build-time action in it is an error.
//
// # Weak typing
//
// As in Packer: a number or boolean is fine for a text; a text for a number or boolean if it reads as one; a
// text for a list is cut at its commas; one element for a list of one; one object for a list of
// objects, and a list of objects for a map. A duration is a text with a unit; a bare number is an error. Null is the
// same as leaving the option out; inside of a list or map it is empty text, 0, or an object without options.
//
// # Secrets and files
//
// What a user writes into a dag.Secret option is sealed: the struct gets a marker, the text goes to the secrets of
// the evaluated template. A dag.File is looked for in the working directory first, then in the template's
// folder; its path is stored whole. A directory is an error: a step that takes one looks for it with Files.Find.
//
// # What builds share
//
// A name that two builds would take, such as that of an image in one region, is an error at the second: see [Claimer].
//
// The engine puts the values of secrets into every other text before a step runs, so a late text
// that may hold secrets should be a dag.Secret tagged late: with actions in it, it is not sealed, and
// the step calls interp.Late first and Task.Reveal on the result, so that braces in a password are
// never taken for an action.
package compile
