// Package hcl reads build templates in HCL2, the language of Packer's .pkr.hcl files: a front end beside the JSON one
// of package template, with the same result.
//
// [Parse] reads one or more files, which are one template. [Template.Evaluate] gives variables their values, evaluates
// locals in whatever order they need each other, and makes a [template.Config] of the builds that were chosen: each source of each
// build block with its options, its provisioners and post-processors. Package compile goes on from there.
//
// # Files
//
//	parse.go      files, top-level blocks, what a packer block requires
//	variables.go  variable blocks, and the values given to them
//	scope.go      what expressions can refer to: var, local, data, source, build, path, packer; locals are evaluated here
//	data.go       data blocks: their options, what refers to them, and the type null, which passes a value on
//	body.go       bodies of options to values with their places; dynamic blocks
//	build.go      build blocks to builds
//	foreach.go    for_each of source and build blocks: their instances, and what those are called
//	result.go     references to what other builds make, and those as values
//	diag.go       hcl's diagnostics as errors of ours
//	limit.go      what would take a parser of recursive descent too deep
//
// # Values
//
// An option keeps its place, and so does each element of a list and each key of an object that is written out. A text that
// holds {{ … }} goes through the older template language after HCL has made it, as in Packer. A reference to build, such
// as ${build.ID}, is known only when the build runs: a text with one is made of parts (see dag.Text). Only a text written
// out can hold it; a function cannot be given one, and the error says so.
//
// A result of another build, such as build.base.id, is such a part where it is written out by itself. What else is made of
// it is unknown until that build has run, as with data sources: [template.Build] says which results it needs. Locals that
// are made of results are evaluated when it is known which builds there are.
//
// # Data sources
//
// What a data source yields is unknown until it was looked up, and has the type that its attributes have: cty carries
// unknown values through locals and functions, and a misspelt attribute is an error at once. [template.Config] says what
// each build and each data source refers to; whoever evaluates looks that up, and evaluates again with what is known
// then. A value that is unknown although nothing is left to look up is an error. Names of builds, and what chooses among
// them, cannot wait. A local and a data source are evaluated in the order in which they need each other.
//
// What was looked up is somebody else's text: the older template language is not evaluated in it.
//
// # Order of variables
//
// Default, then PKR_VAR_name of the environment, then *.auto.pkrvars.hcl, then *.auto.pkrvars.json, then each -var-file,
// then -var: the last one counts. What came from the environment or -var is a text if the variable's type is string or
// none, and an expression otherwise.
//
// # Secrets
//
// A sensitive variable has a mark on each of its texts and numbers, and cty hands marks on from there.
package hcl
