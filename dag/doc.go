// Package dag is the engine: it brings a graph of typed steps into being, keeps
// a checkpoint of each, and removes what was only scaffolding.
//
// # Steps
//
// A step is a plain struct ([Step]): its exported fields are its settings and
// its references to what other steps make. An [Out] reads another step's
// output; a [Take] is exclusive, for a step that changes the thing itself. Wrong
// wiring does not compile. [Add] puts a step into a [Graph] and returns the
// reference to its output; [Bind] makes its type known to an [Engine] together
// with the environment that its Do gets.
//
// A setting of type [Text] may hold secrets, words whose meaning only the step
// knows, and references to what other steps make ([Ref], [Path]), which then come first.
// Its step gets the final text from [Task.Fill].
//
// An output that exists outside the process is a [Thing]: it can be found by
// the token of its making and undone. Any other output is a view of the things
// that it was derived from. A [Given] was there before: steps take it like a thing,
// and it is neither made again nor removed.
//
// What a step finds out may decide what other steps there are: it is a lookup of the
// graph ([Graph.LookUp]), and the rest awaits it ([Graph.Await]). Whoever makes the
// graph solves what comes first ([Graph.First]), reads it in the records, and makes
// the graph anew. What comes after a lookup ([Graph.Follow]) does not read it: its
// settings hold what was found. What a build makes may decide about others in the same
// way ([Graph.Result], [Graph.AwaitBuilds]).
//
// A guard ([Graph.Guarded]) is a step that is not done in its turn: it stands by on a
// machine, and is done before that is removed, unless the steps that it is for have come
// to a good end.
//
// # Keys and tokens
//
// A step's [Key] says what it is: the SHA-256 of its kind, its settings and the
// keys of what it reads. Equal keys are the same step. Its token says which
// making of it this is; it is journaled before Do is called, so that after a
// crash Find can say whether the thing was made.
//
// # Deciding and doing
//
// The engine decides what is done and when; a [Runner] does it. What decides makes
// no call and looks at no clock: it is told what has happened, and says what is to
// be done now, and why. A [Call] and a
// [Result] are all that passes between them, and a [Host] what a step may ask for
// while it is at work: its output and messages, secrets, and values of its own that
// must outlive it ([Task.Save]). Nothing but data crosses, so that steps may run in
// another process ([Pipe]); without a runner they run in this one, as they are bound.
// A call whose process is gone is made again, after its thing was looked for.
//
// # Solving
//
// [Engine.Solve] plans before it acts: what is done, what must run, what must
// be made again since a machine was changed by a step that is no longer wanted,
// what is left of an earlier graph. Then ready steps run in parallel. A thing
// that is not kept is released as soon as nothing that still has to run reads
// it or a view of it, and nothing that stands on it is left. A release that fails
// is tried next to the steps; when they have all succeeded, it has a minute more,
// and one that only takes its time has ten. A failure skips its dependents and
// leaves the rest running; a thing that is to outlive it stays ([Stay]).
//
// A step may be [Common]: it comes to the same whichever run does it. Where somebody knows
// what other runs are at ([Makers]), a kept thing that one of them makes is waited for and borrowed, with all that
// is needed for it alone left undone; a lookup is, while it lasts. What is borrowed is
// not the run's own, and never removed by it. Who makes what others wait for waits for none of them.
//
// After any crash, at any instruction, Solve goes on where it was, and
// [Engine.Destroy] removes all that was made: nothing is created without a
// journaled intent, and nothing journaled is forgotten. What waits for the disk is
// what something outside changes because of: the intent of a step that makes a thing
// or takes one, the intent of a removal, what a step saves, what a lookup has found
// that decides about builds, and the end of a pass. All other records are put off
// ([Store]), and come to the disk with the next of these. If they are lost, the step
// is done once more, or its thing found by its token.
//
// The engine never prints: it emits [Event] values to a [Sink].
package dag
