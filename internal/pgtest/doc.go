// Package pgtest starts PostgreSQL for tests, any version that is installed as
// Debian does it or is in PATH. It listens on 127.0.0.1 alone, takes one password, which is
// drawn for it, can be stopped and started again in the middle of a test at the same
// address, and ends, with all that it has stored, when the process does that has started
// it, however that ends. As root it runs as the user postgres, since it refuses root.
//
// Most tests need a database and no more:
//
//	url := pgtest.Database(t) // postgres://…, fresh, in one server of this process
//
// A test that stops the server has one of its own:
//
//	s := pgtest.New(t)
//	s.Kill()  // as if its processes were killed
//	s.Start() // what was committed is there
package pgtest
