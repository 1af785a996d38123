// Package compile turns an evaluated template into a graph of steps.
//
// It names no concrete step. A [Catalog] maps the type names of templates to makers of structs:
// [Decode] fills such a struct with the options that the user wrote, the struct checks itself, and then adds its
// steps to the graph: see package steps for what it has to be. The graph of a build is a fold: the builder makes a
// machine, each provisioner takes the machine and gives it back, and the builder makes an image of it.
//
// # Structs of options
//
// The name of an option is the field's json name. Embedded structs, and struct fields tagged
// option:"flatten", lend their options to the struct around them. References to steps ([dag.Out], [dag.Take])
// and fields tagged option:"-" or json:"-" are no options. A field may be a string, a boolean, any number, a
// [time.Duration], a [dag.Secret], a [dag.Text], a [steps.File], a [steps.Any], a struct, and a pointer to, slice of, or map from string to those.
// A pointer stays nil when the option is not given. The tag option takes words separated by commas:
//
//	required      the option must be there and not empty
//	unsupported   using it is an error that says "not supported yet", unless the value asks for nothing
//	off=x         the text x asks for nothing, too
//	deprecated=x  using it is an error that names x
//	late          the text, or each text and key in it, may hold build-time actions: it is a dag.Text or a dag.Secret
//	late=A+B      the same, but only {{ .A }} and {{ .B }}; the word source is all that is known of the image that a
//	              machine begins from, and build allows {{ build `…` }}, of every build value, or if source is
//	              there, too, of those that are known without a machine
//	results       the text may hold results of other builds, as every late text may, and nothing else that is late; a
//	              build whose other options hold them waits until they are known
//	file          the text is the path of a file, which the struct looks at itself
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
// # Data sources
//
// A [steps.Data] is decoded and checked like a builder. Its step is a lookup of the graph, and what refers to it comes after
// it. A build that refers to one that was not looked up yet is checked as far as it is known and is in the graph by its name
// alone; [Catalog.DataTypes] and [Catalog.Looked] are what templates see of the steps' outputs, before and after.
//
// # Tests
//
// A test of a build is decoded into what the source gives out for it ([steps.Testable]), and its provisioners are checked as
// those of the build are. The names of its steps begin with test-NAME, or test.
//
// # Secrets and files
//
// The options come as cty values, see package template: a mark says that a value is secret, and what is unknown is known
// only when the build runs. A marked text that is not a secret itself was made of one, and is sealed.
// What a user writes into a dag.Secret option is sealed, too: the struct gets a marker, the text goes to the secrets of
// the evaluated template. A steps.File is looked for in the working directory first, then in the template's
// folder; its path is stored whole. A directory is an error: a step that takes one looks for it with Files.Find.
//
// # What builds share
//
// A name that two builds would take, such as that of an image in one region, is an error at the second: see [steps.Claim].
//
// What a build makes can stand in the texts of others: it is wired before them, and the texts refer to its first artifact.
// A build that is made of results in any other way is in the graph by its name alone until they are known, see
// [template.Config], and comes after the builds that have made them.
//
// # Texts
//
// A late text comes from the front end as a dag.Text with a word for each build-time action. Its step calls
// Task.Fill, which puts values and secrets in where they cannot be taken for actions. A dag.Secret that is late holds
// the parts of a dag.Text, too, and is not sealed if there are words among them.
package compile
