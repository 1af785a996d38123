// Package nettest has addresses for tests of what talks to somebody that does not
// answer: [Silent] takes connections and says nothing, at [Closed] nobody listens.
package nettest
