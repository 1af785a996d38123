// Package app is what imgflow does, without a command line: it takes a template
// to its images, goes on with what was interrupted, and removes what was made. It
// has no flags and prints nothing; whoever uses it shows what it returns.
//
// An [App] makes sessions. A [Session] is one request with its world and its run;
// its methods are called in the order of what is to be done:
//
//	run       New, Load, Begin, Run
//	resume    Open, Give, Renew, Reach, Run
//	destroy   Open, Give, Things, Remove
//	orphans   New, Orphans
//	plan      New, Load, Plan; or Look, Give, Preview or LoadStored, Explain
//	validate  New, Load, or LoadLooked
//	doctor    New, Load, Examine
//	shell     Open, Give, ReachMachines, Machines, Shell
//	submit    New, Load, Begin, Verify, Pack; then Join elsewhere, as often as there are workers
//	schedule  New without a home, Load, Schedule; then Fire elsewhere, at each time
//
// A program that builds a template, and says what became of it:
//
//	a := &app.App{Env: app.NewEnv(os.Environ(), dir), World: newWorld}
//	home, err := a.OpenHome()
//	...
//	s := a.New(home, app.Request{Template: "web.json"})
//	defer s.Close()
//	if err := s.Load(ctx, true); err != nil {
//		return err // all that is wrong with the template, with its places
//	}
//	if err := s.Begin(ctx, local.Settings{}); err != nil {
//		return err
//	}
//	res, err := s.Run(ctx, app.RunOptions{Show: show})
//
// When ctx ends, no new step begins, calls in flight come to their checkpoint, and
// Run returns; another session resumes the run, in this process or the next. Load
// may have begun the run: see its comment.
//
// A template whose builds refer to data sources has builds that are not known when it
// is loaded. Run looks up what they refer to and loads the template again, until all
// is known; so does a resume, with what the run's records have.
//
// # What is handed in
//
// Nothing is read from the process: the environment and the working directory are
// an [Env], signals are a context, the kinds of steps are a [World], which the
// program makes of packages that this one does not know. So a process can have
// many sessions at once, with homes, credentials and endpoints of their own. A
// session has one world, from the first look at its template to its end: what
// compiling has taught it (accounts, places) is there when its steps run.
//
// # Errors
//
// A [UsageError] says that the request is wrong and nothing was done; all faults of
// a template are one. A *state.BusyError says that another process drives the run.
// Others say what went wrong and, where it is not plain, what to do.
package app
