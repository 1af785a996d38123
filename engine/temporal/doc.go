// Package temporal has runs driven by workflows of Temporal, and their steps done by
// its workers. It knows no kind of step and no database: what is done is [Work].
//
// # Who does what
//
// A run is a workflow, whose id is the run's: so nobody drives it twice. It asks for
// the skeleton of the graph and for slim records ([Prepare]), lets a [dag.Pass] decide,
// and has each order that is a call carried out by an activity, which journals intent and
// checkpoint as in any other run. The workflow is the pass with timers and signals, and
// nothing else: what decides is the same code as where one process drives a run.
//
// The records are the truth. A workflow holds what it decides by and no more: no settings, no
// outputs, no secrets. It may be lost at any moment, terminated by hand, or forgotten
// by the server: the run goes on with another one ([Client.Submit]), or what it
// has made is removed ([Client.Undo]), which is a workflow of its own.
//
// # When a worker is lost
//
// An activity says every four seconds that it is still at work. When nothing was heard of it for ten, Temporal
// gives it to another worker, with an attempt above the first: the order is then one that may
// have been carried out before ([dag.Order].Again). What its records show to be over is not done again, a thing is looked
// for by its token, and any other step goes on with what it had saved. A worker that was only paused
// is kept from writing by whoever has claimed its step meanwhile, which is the affair of Work. An
// attempt is given away twice; then the pass decides about a call that was lost, as everywhere.
//
// Whatever else fails is an outcome, which is a value: Temporal's own retries are for the lost alone, and
// for work that could not even begin.
//
// A worker that is told to end cuts its calls off, and others go on with them at once.
//
// # Waits
//
// A wait of minutes is an activity that sleeps, mostly: three events of history, whatever it takes, and a goroutine of the
// worker. A worker takes 1,000 calls at once, so a place costs nothing. What is polled is polled for all of
// them together: the steps of one account and region in one process share a poller (package steps/aws).
//
// # Lanes
//
// An order that calls a site ([dag.Order].Site) is on the task queue of the site's lane, which one worker serves, so that
// there is one poller an account. Which one follows from who is there ([Worker.Serve]), which is the affair of who starts workers. Two that
// serve a lane for a moment do each order once, as on any queue. A worker that loses a lane ends its calls there.
//
// A wait for what another run makes has a queue of its own, so that it never takes a place that the other one needs.
//
// # Many builds
//
// From 21 builds on each has a workflow of its own, a child of the run's, which is given a part
// of the graph ([dag.Graph.Of]) and its own records. What builds share is made before by the run's workflow
// ([dag.Engine.Shared]), stays as long as any of them is at work, and is removed by it
// when all have ended, unless something of a build stays. Measured: a toy build of four steps has 37 events
// of 9 kB; the workflow of a run has 5 events more for each child. One workflow for all would have had the 51,200
// events that a server takes with about 1,500 such builds, and would decide for all of them one after the
// other. To begin the workflow anew in between would have to wait until no call is
// on its way, and calls take an hour.
//
// What an earlier form of the template has made for such a run is removed at the end, and not first.
//
// # Suspended
//
// A signal, or somebody who cancels the workflow, has the calls end that are on their way, as soon as
// they say next that they are at work, and nothing begins any more. All stays, and the run is given back. A removal that takes too
// long is given up in the same way as elsewhere, but what it has met meanwhile is not known to the pass: it
// counts as slow, and has ten minutes.
//
// # Versions
//
// Workers may be versions of a deployment ([Version]): the workflows of a run stay with the version that has begun them. Its activities on the task
// queue of the workflows do, too; those on any other queue, which has no versions, are done by whoever serves it.
//
// # Schedules
//
// A schedule of the server begins a workflow at each time, which has a worker make the run of that time
// (Work.Fire), and drives it as a child. It lasts as long as that, so that the server begins no
// other meanwhile. What is in the schedule is its name.
//
// # Limits
//
// What a workflow gets or gives has at most 1 MiB; beyond that the run is refused, since a server
// would refuse it silently at 2. Histories that are recorded in testdata are replayed by a test: a change
// that an open workflow could not go on with needs workflow.GetVersion, or another name.
package temporal
