// Package fleet has runs built by workers on many machines: an engine elsewhere decides
// what is done, workers do it with the sessions of package app, and the runs are in a
// home that all of them reach.
//
// A [Client] hands runs to the engine, and works for it:
//
//	c, err := fleet.Dial(ctx, "temporal://engine:7233/default", os.Getenv)
//	...
//	epoch, err := c.Submit(ctx, home, run, where) // a run that was packed and left
//	err = c.Work(ctx, app, worker)                // on other machines
//
// A worker joins a run when it is given the first step of it, and keeps its session until
// the run has ended, is assigned anew, or nothing of it was done for five minutes. Of each
// step it makes a claim, so that a worker which was taken for dead writes nothing more of
// it when it wakes.
//
// A worker gives runs back that are said to be driven by its engine, and that this has nothing of,
// and tells collectors what it is at.
//
// Runs that need the same at the same time agree in the database on who makes it. One
// goroutine of a worker looks for all that its runs wait for, each second.
package fleet
