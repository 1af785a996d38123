// Package graphsvg draws a graph without cycles as one SVG that needs nothing else:
// no program, no font, no script.
//
//	err := graphsvg.Picture{
//		Title: "Plan of template.json",
//		Nodes: []graphsvg.Node{{ID: "a", Label: "launch", Sub: "t3.micro", Class: "thing create"}, {ID: "b", Label: "connect", Class: "create"}},
//		Edges: []graphsvg.Edge{{From: "a", To: "b"}},
//	}.SVG(w)
//
// # Layout
//
// Nodes stand in ranks, each below all that it comes after, in boxes of two lines; an
// edge is a curve from the bottom of one box to the top of another. Ranks are as deep as
// the longest path; those that only lead to others stand right above them. The order in a
// rank is that of the barycenters of its neighbours, of the sweeps the one with the fewest
// crossings. In x each rank is put as near to its neighbours as its boxes let it (least
// squares). An edge over many ranks is led around the boxes between, unless there are
// too many such edges: those go straight, behind the boxes. So time and size are near to
// linear in nodes and edges.
//
// # Classes
//
// A class is a list of words. These have a look, any others are for who embeds the picture:
//
//	create rerun replace reuse      what a plan has in store: green, yellow, red, dim
//	done running failed skipped     how a step has ended: green, blue, red, dim
//	waiting                         nothing has happened yet
//	thing                           angular, with a strong border: it exists outside
//	release awaited                 dashed: a removal; what is not known yet
//
// An edge of class release is dashed, too. Colours are those of the reader's system, light
// or dark. No colour says anything alone: put a sign or a word into the label.
//
// # Embedding
//
// The SVG may stand in a page as it is, also several times. Its rules are all below
// the class graphsvg and it has no ids. A Link is the target of its node, if it leads to a place in the
// page, beside it, or over http; nothing else becomes a link. All text is escaped, and
// characters that XML does not have, or that change the direction of what follows, are left
// out. A Title is shown where the pointer rests.
package graphsvg
