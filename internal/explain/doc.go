// Package explain says why the steps of a graph will run or not.
//
//	steps := explain.Steps(stored, records, graph, plan)
//
// A step is what its key says, and a key is the digest of a text: its kind, its settings and
// the keys of what it reads. So a step that has changed is explained by the difference of
// two texts: of the step as it is now, and in its earlier form, which a record or the
// stored graph holds. The earlier form is the step of the same build with the same
// settings, which reads other steps now, or else with the same name.
//
// Where the settings are the same, the reason stands in what the step reads: the chain
// leads back to the step that has changed itself, the root. Where the key is the same, the
// reason is what became of it: it is done, it failed, it was interrupted, its machine is made
// again.
//
// [Compare] does the same for two graphs of which none has run: a plan that was kept, and
// what its template comes to now.
//
// Secrets are in no text: a digest stands for each, under a salt of the run's.
package explain
