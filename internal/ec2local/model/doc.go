// Package model holds the parts of Amazon's published service models that the
// embedded EC2 speaks, and what follows from them: a request is read by its
// model, and a reply is held against it.
//
// The models are data (ec2.json, sts.json, iam.json): an excerpt of the service
// descriptions that ship with botocore, with the operations of this endpoint
// and the shapes they reach, without documentation. LICENSE, NOTICE and
// CHANGES.md beside them say where they come from and what was left out. The
// program in gen writes them, an operation or a shape a line, from the files of
// botocore 1.43.11 that lie beside it:
//
//	go run ./gen
//
// [Service.Parse] turns the flat form of a query request into a [Values] tree
// named as the model names things; a name that the model does not know, a
// required one that is missing and a value that is not of its type are errors.
// [Decode] fills a Go struct whose fields carry the model's names from such a
// tree, and refuses what the struct has no field for: a parameter is never
// ignored. [Operation.Check] says in what a reply differs from the model.
package model
