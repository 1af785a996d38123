// Package findings writes what was found in a template for the tools of others: as
// SARIF 2.1.0, which code hosts show beside the lines ([WriteSARIF]), and as JUnit's
// XML, which most servers of CI show as tests ([WriteJUnit]).
//
// The rule of a finding is its code, and what package errcode tells of codes is what a
// report tells of its rules. A finding that is in no file, such as one about a flag,
// has no place in a report.
package findings
