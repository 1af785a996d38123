// Package live shows a run on a terminal while it goes on: at the bottom a frame of
// what is under way, above it, for good, a line for each step that has ended, with
// what failed in full.
//
//	d := live.New(live.Options{Out: os.Stdout, Size: size, Color: true})
//	defer d.Close()
//	run(d.Event)                 // from any goroutine
//	lines := render.NewLines(d, …) // what is written to d comes above the frame
//
// # Cost
//
// Events change what is known of the run ([runview.View]) and nothing else: the
// frame is drawn eight times a second at most, and only lines that have changed are
// written, however much machines print.
//
// # The frame
//
// It takes two thirds of the window's height at most; what does not fit is counted.
// Texts of machines come without what could drive a terminal, cut to the window's
// width by the cells that they take, and a terminal that counts them otherwise cuts
// them at its edge: nothing wraps. A window that changes its size gets a new frame at
// the next turn.
//
// # Stepping aside
//
// Whoever asks at the terminal calls [Display.Aside] before: lines go on, without a frame, and
// keys are theirs. [Display.Stop] and [Display.Go] give the terminal away for a
// while, as for the stop of a job; Close leaves it as it was, with everything said.
//
// # Keys
//
// They are read while the frame is there: l for the log of a step, s for a shell, q
// to suspend, ? for help. Interrupts are not keys here: the terminal goes on making
// signals of them.
package live
