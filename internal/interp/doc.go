// Package interp evaluates the template strings that stand in build templates, such as
//
//	packer-example {{timestamp}}
//	{{user `region`}}-{{ .SourceAMI }}
//
// The syntax is that of text/template with the functions that Packer users know. A string is
// evaluated in two passes, because some of its words are known only while a build runs.
//
// [Early] runs when the template is read. It evaluates every action that it can. An action that
// needs a build-time value (a field such as .SourceAMI, or the function build) stays in the text
// as it was written; if such an action also uses something that only the early pass knows, as in
//
//	{{ printf "%s-%s" (user `region`) .SourceAMI }}
//
// that part is replaced by its value and the rest stays. The result is again a template string:
// text that happens to hold two opening braces comes out as {{"{{"}}. Use [Plain] for a string that may hold no build-time
// action, and [Late] at build time for one that may.
//
// # Secrets
//
// The value of a sensitive variable never appears in an evaluated string. In its place stands a
// marker, [Mark] of the variable's name. A function that changes text works on the real value and
// yields a marker with a derived name, such as upper(db_password). Env.Secrets maps every name
// that was used in a marker to its value. [Reveal] puts the values back. A derived value is sealed with the run that
// needs it; for runs that did not do so yet, its name says how to make it again from the others: see [Resolve].
//
// # Errors
//
// Every error is a [Faults]: all that is wrong in the string, each with the byte offset in
// the string at which it stands, so that the caller can say line and column.
//
// What an evaluation makes is UTF-8, and no longer than [MaxText].
//
// # Functions
//
// Early: user, env, vault, consul_key, aws_secretsmanager and aws_secretsmanager_raw (variables only), build_name, build_type, timestamp, isotime, strftime, uuid,
// pwd, template_dir, packer_version. Early and late: upper, lower, replace, replace_all, split,
// clean_resource_name, and of text/template: and, or, not, eq, ne, lt, le, gt, ge, index, slice,
// len, html, js, urlquery, print, printf, println. Late: build. The statements if, else, with and
// end work too; range, define, block and template do not.
package interp
