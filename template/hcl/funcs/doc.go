// Package funcs is the functions that expressions of an HCL2 template call.
//
// [New] makes them for one run: what they know of the world (the template's folder, the
// working directory, the home, the clock) is in [World], so that two runs in one
// process may differ and one run gives the same values whenever it is evaluated again.
//
// Most are those of go-cty and of hcl's extensions. The rest stands here, one file a group:
//
//	text.go        base64…, urlencode, startswith, endswith, strcontains
//	collection.go  alltrue, anytrue, coalesce, index, length, sum
//	crypto.go      md5, sha1, sha256, sha512, bcrypt, rsadecrypt, uuidv4, uuidv5
//	date.go        timestamp, legacy_isotime, legacy_strftime, rfc3339_parse, unix_timestamp_parse
//	file.go        file, filebase64, fileexists, fileset, templatefile, abspath, …
//	depth.go       what nests too deep for a parser: templates, JSON, YAML
//	ask.go         vault, consul_key, aws_secretsmanager, aws_secretsmanager_raw: what they yield is [World].Ask's
//	network.go     cidrhost, cidrnetmask, cidrsubnet, cidrsubnets
//
// Unknown arguments give unknown results, and a mark (a secret) on an argument stays on the result.
//
// # Where this differs from Packer
//
// timestamp() is the run's instant, at each call the same, so that a build that is resumed stays the same
// build. legacy_isotime and legacy_strftime use that instant too. lookup may be called without a default; then a key that
// is missing is an error. Files are read up to 16 MiB, and a device or pipe is refused. Nothing may be nested deeper than
// [MaxDepth] levels, and the aliases of a YAML text stand for at most 100,000 values.
package funcs
