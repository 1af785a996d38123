// Package nettest has addresses for tests of what talks to somebody that does not
// answer: [Silent] takes connections and says nothing, at [Closed] nobody listens; and of
// what does as the test says, [Serve].
package nettest
