// Package files takes the local files of a run to another machine, whose steps find
// them as if they were done where the run was submitted.
//
// [Gather] reads the settings of a graph: what a [steps.File] names, and the options
// that name files of keys. What they hold goes to a content-addressed [Store], but for
// that of keys, which is returned to be sealed. A [Manifest] says what there is.
//
// [Manifest.Lay] lays them out elsewhere, below a root: the file /home/a/x.sh is
// ROOT/home/a/x.sh there. The graph and all records keep the paths that the submitter
// knows: [Manifest.Runner] puts the root before them in each call, and takes it out of
// what the step says.
//
//	m, keys, err := files.Gather(g.Nodes, files.Also{}, files.Place{Cwd: cwd, Dir: dir, Home: home}, store)
//	...
//	err = m.Lay(ctx, folder, store, keys) // on another machine
//	r := m.Runner(dag.InProcess(kinds), folder, made, uses, secret)
//
// # What steps write
//
// A step notes what it writes ([localfile.Note]). When it is done, [Made] keeps that in the store, in
// pieces, and says in the step's record where: so it is there when the step counts as done, and is
// gone with what was only the step's own. Before a step that may read it is done elsewhere, it
// is laid out there, each list once. What several steps add to a file travels as an addition, and
// not as what the file then holds. [Made.Bring] writes what there is in the end where
// the submitter is.
//
// What a manifest says is not trusted: nothing is written outside of the root, no link
// leads out of it, every piece is what its digest says, and all of it has bounds.
package files
