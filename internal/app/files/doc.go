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
//	m, keys, err := files.Gather(g.Nodes, nil, files.Place{Cwd: cwd, Dir: dir, Home: home}, store)
//	...
//	err = m.Lay(ctx, root, store, keys) // on another machine
//	r := m.Runner(dag.InProcess(kinds), root)
//
// What a manifest says is not trusted: nothing is written outside of the root, no link
// leads out of it, every piece is what its digest says, and all of it has bounds.
package files
