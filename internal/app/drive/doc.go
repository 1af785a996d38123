// Package drive takes a run from its graph to its end, or takes it down: it
// joins the engine with the run's state, a display and the user's wishes, and
// keeps the run's summary true while it works. It knows no kind of step.
package drive
