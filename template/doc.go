// Package template reads build templates: what the user wants made, before it is known how.
//
// [Parse] reads a Packer-style JSON template. Every key and value keeps its place in the file, and all
// that is wrong with the file is reported at once ([Errors]). [Template.Evaluate] then resolves variables
// and template strings, and folds the provisioners and post-processors into each build that was
// chosen. The result is a [Config]: still data, an object of options for each builder and provisioner. The package
// knows no kind of builder or provisioner; package compile gives them meaning.
//
// # Front ends
//
// Whatever reads a language of templates is a front end. It yields a Config, and all that comes after is the same for
// all of them. JSON is the one in this package; another one needs no more than this:
//
//   - A [Value] for each object of options: a cty value and its [Place]. It is evaluated; what is known only when the
//     build runs is all that is left.
//   - Places come from a [File], which finds them by byte offsets: f.Pos(range.Start.Byte) for a range of HCL. Of
//     an object that is written out, Inside has the places of its keys; what a function has made stands where it does.
//   - A value that is the secret of a name, or was made of it, has the mark [Secret] of that name, on whatever level;
//     the name and its text are in Config.Secrets. HCL passes marks on by itself. Compile seals the text.
//   - A text that refers to what is known only at build time is unknown, and [Form] has its parts: a dag.Text
//     of literal parts, secrets, words such as dag.Word("{{ build `ID` }}"), and references to other steps. The parts
//     are those of the template expression, as it is written. An unknown without a form was made by a function of
//     something unknown: it is refused with its place.
//   - What has been reported is cty.DynamicVal, as HCL has it. It is passed over in silence, and so are its consequences.
//   - A number needs a Form if its digits matter: 1.10 as the text of a tag. So does a text whose characters cty would
//     compose (NFC), such as the name of a file.
//
// # Two kinds of text
//
// A [Raw] value straight from the file holds text as the user wrote it. Evaluate makes of it what interp.Early says:
// every action that needs no running build is evaluated, the others become words of a dag.Text, and a sensitive value
// becomes a part whose real value is in Config.Secrets.
//
// # Places
//
// A [Pos] is a file, a line and a column in characters, both counted from 1. Text keeps the place of its
// opening quote; [Raw.At] finds the place of a byte inside of it. A value that came from the command line has
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
// of the template it is empty text, and one of Config.Warnings.
//
// A [Call] of a function that asks a server for a secret is a data source of the Config. As long as it was not looked up,
// the variable is not known, and neither is any text that uses it.
package template
