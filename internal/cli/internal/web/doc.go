// Package web is the page of imgflow in a browser: the runs of a home, each as it
// moves, what they print, and what one does about them.
//
//	s, err := web.New(web.Options{Home: home, Addr: "127.0.0.1:8080", Command: ..., ...})
//	fmt.Println(s.URL())
//	http.Serve(listener, s)
//
// # What is shown
//
// Everything is read from the files of runs, so that it does not matter which process
// drives them. One follower for each run that somebody looks at folds its events into
// a view (package runview), and makes of it the parts that package runpage has; all who
// look get the same bytes. Pages are whole without a script: htmx (assets, from npm by
// vendor.sh) only keeps them up to date, by server-sent events whose messages are HTML.
//
// # What is done
//
// Resume, destroy and the search for orphans are commands of this program, each a process
// with a session of its own: it goes on when the page is closed, and whoever knows the
// command line knows what happens. What it prints is shown on the page, so also why it
// did not begin.
//
// # Who may
//
// Loopback is no boundary: every user of the computer and every page in a browser
// reaches it. So each request must name the address that is served (Host), and come
// from no other page (Sec-Fetch-Site; Origin where something is changed); it must
// have the cookie of this process, which only the address with the token gives; and
// what changes something must have a word that only our pages hold. The token is in one
// address, which is left at once; it and the cookie end with the process.
//
// # Bounds
//
// Streams are bounded in number; one that takes no data for some seconds is closed, and
// meanwhile misses what is in between instead of having it kept for it. A browser opens six
// connections to a host: pages that nobody sees have no stream, and where more than four are
// seen, they take turns. Bodies, lines, lists and the output of commands are bounded.
package web
