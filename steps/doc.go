// Package steps holds the contracts between a template and the steps that are
// done for it: what a builder, a provisioner and their options have to be, so
// that template/compile can wire a graph of them without naming any.
//
// # Sources
//
// A [Source] is a pointer to a struct of a builder's options. Its exported fields
// are the options, under the names that templates use; template/compile fills
// them in and then calls, in this order,
//
//	Check      what is wrong with the options, without asking anybody outside
//	Claims     the names that no other build of the run may take
//	Prepare    find out what the options leave open; why the build cannot run
//	Wire       add the steps to a graph
//
// Wire adds the steps that make a machine, hands the machine to the provisioners
// through a function and adds what makes artifacts of the machine that it gets
// back. Nothing has to be kept between the two halves but local variables. For
// options of which somebody only wants to know whether they are right, Prepare is
// called after Claims and Wire is not. For a run it comes before Claims, which may
// tell more then. One whose builds have no machine is [Machineless], too.
//
// # Provisioners
//
// A [Provisioner] is a pointer to the step itself: its exported fields are options
// and references both. Check, Communicators and Add are its own; SetCommon comes
// with [Common], which it embeds, and so does Try, in which its Do does what it does:
// it pauses, limits and repeats as the options say. One that cannot always run is a [Preparer], too,
// and one that looks for local files when all its options are known a [FileUser].
//
// # Tests
//
// A [Testable] source gives out the options of tests, each a [Test], and takes each
// back with what its provisioners add: Wire starts machines of what was made, and has
// all that would hand it to others come after them.
//
// # Post-processors
//
// A [PostProcessor] is a pointer to its step, too. It takes a [Product], what a build
// has made as Packer tells it, and hands one on. A source says in [Made] how its own
// comes about. What was made is kept, whatever becomes of post-processors; only
// where the template asks for it does it go, after [Discard].
//
// # Data sources
//
// A [Data] is a pointer to the options of what a template looks up before its builds
// are known: Check and Output tell what can be told without looking, and Add adds the
// step whose output is what the template sees. What was looked up is in the
// run's records: a resume sees the same, and looks again only for other arguments.
//
// # Options
//
// What is wrong with an option is an [OptionError]; [OptionErrors] gathers them. A
// local file among the options is a [File], which enters a step's key by its
// content. One that is text of which some is known only when the machine stands is a
// dag.Text, which whoever reads the template makes. What tags a field may
// have is described in template/compile.
//
// # Artifacts
//
// An [Artifact] is what a run is for: an image, a volume that is kept. The output
// of the step that finishes it embeds it, or lists several in a method Artifacts;
// the engine keeps them in the step's record, so that whoever shows a run need not
// know the kinds of its steps.
package steps
