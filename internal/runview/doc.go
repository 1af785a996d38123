// Package runview tells how a run stands by its events, and by nothing else: what
// a terminal, a page, a report and a summary of CI show is one [View], made of the
// same events, whether they come live, from the file of a run that another process
// drives, or from one that has ended.
//
//	v := runview.New()
//	for _, e := range events {
//		v.Apply(e)
//	}
//	for _, s := range v.Steps { fmt.Println(s.Name, s.Status, s.Took(now)) }
//
// # Drives
//
// A run is driven once by run and once more by every resume. Each begins with the
// steps that are planned now: those that were done before and are not done again
// are Reused. What an earlier drive did stays in the spans of its step, for a
// timeline.
//
// # Bounds and safety
//
// A View holds the last [TailLines] lines of each step, each cut at [TailWidth]
// bytes, and at most [MostSpans] spans. Texts come without what could drive or
// mislead a terminal (package termsafe); secrets are out of events before anybody
// sees them. A View is not safe for use by several goroutines at once.
package runview
