// Package runpage makes of a run what a browser shows of it: parts of a page in HTML and
// SVG, one style for light and dark. The report of a run and the live page of package
// web are put together of the same parts.
//
//	r := runpage.New(summary, view, time.Now())
//	err := runpage.Report(w, r)       // one file that needs nothing else
//	err := runpage.Picture(w, r)      // the times and the graph alone, as one SVG
//	t := runpage.Templates(files)     // the parts, for pages of somebody else's
//
// # Parts
//
// Each is a template that takes a [Run] or a [Section]: head, failures, builds,
// section (its steps, each with its times as a bar, and its graph), warnings, results,
// resources, made, next. A run of few steps is one section; in any other each build is
// one, and those that failed come first.
//
// # Times
//
// Bars stand on the time that a run was at work: what lies between two drives, when
// nobody did anything, is a notch of the axis however long it was.
//
// # Bounds
//
// What is shown is bounded, whatever the run is: [MostSteps] steps in sections,
// [MostRows] rows of a table, lines as package runview keeps them; what is left out is
// counted. All text is escaped by html/template or package graphsvg, and has no
// character that changes the direction of others. Nothing here is a script, and no
// attribute holds one; no style stands in an attribute, so that a page can be shown
// under a policy that allows only its own style.
package runpage
