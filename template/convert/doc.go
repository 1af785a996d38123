// Package convert writes a JSON template as one in HCL2 that means the same.
//
// [HCL] takes a template that package template has parsed and returns the text of a .pkr.hcl file, laid out as package hcl
// lays it out. A build of it has the same options, so its steps have the same keys, but for what HCL2 makes different: a build
// is called by its type, too, and a text of which a sensitive variable is a part is sealed as a whole.
//
//	variables.go  variables, and the locals that stand for what a default cannot say
//	text.go       template strings
//	convert.go    sources and the build
//
// # What becomes what
//
// A variable stays one, with a type of string; sensitive-variables are marked. A default that uses other variables, or an
// uuid that all its users share, is what no default of HCL2 can be: the variable has none then, and a local of its name is
// its value or what the default was. A variable that nothing declares is declared, as the empty text that it was.
//
// {{user}}, {{env}}, {{isotime "layout"}}, {{template_dir}}, {{pwd}} and {{packer_version}} become expressions. Whatever else
// stands in {{ }} stays: such texts are evaluated in HCL2, too. A user within a longer action becomes an interpolation there.
//
// A builder is a source of its name. If that is none that HCL2 takes, the build block gives it to the source. An option that is
// a block in Packer's schema becomes a block, and a list of them as many. Comments stay comments.
package convert
