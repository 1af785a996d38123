// Package usual knows how long things usually take, so that whoever waits for one
// looks rarely before it can have ended, and often when it is likely to.
//
// A [Span] is when something usually ends, and its Next says when to look again.
// [Times] learns spans from waits that came to their end, and keeps them in one
// small file of the user's home:
//
//	times := usual.Open(file)
//	names := []string{"image us-east-1 8 GiB", "image us-east-1"}
//	span := times.Of(names, usual.Span{Lo: 56 * time.Second, Hi: 170 * time.Second})
//	... look every span.Next(elapsed) ...
//	times.Note(names, elapsed)
//	times.Save()
//
// What is not known by its own name is expected as what is alike, within wider
// bounds: the names of a thing go from the closest to the widest.
//
// The file is a hint and nothing more. One that is damaged, too large, or no file
// is as good as none, numbers that make no sense are passed by, and what it holds
// is bounded: the last 9 times of 128 things, or of as many as [OpenFor] is told. A wrong span costs calls or seconds,
// never a result: nothing is given up because it takes longer than it did, and no
// wait between two looks is longer than half of what is usual, or than 10 s
// once that is over.
package usual
