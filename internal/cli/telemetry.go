package cli

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/telemetry"
)

// told is what the environment of this process wants told to collectors, and what
// of that cannot be done. There is one provider for all sessions.
var told = sync.OnceValues(func() (*telemetry.Provider, []string) {
	dir, _ := os.Getwd() // newRequest tells of an error
	env := app.NewEnv(os.Environ(), dir)
	o, warnings := telemetry.FromEnv(env.Get, env.Abs)
	return telemetry.New(o, versionText()), warnings
})

func telemetryOf() *telemetry.Provider {
	p, _ := told()
	return p
}

// telemetryWarnings are what of it cannot be done.
func telemetryWarnings() []string {
	_, warnings := told()
	return warnings
}

// closeTelemetry sends what is left to the collectors. What they did not get is no
// failure of a build.
func closeTelemetry(w io.Writer) {
	if err := telemetryOf().Close(); err != nil {
		fmt.Fprintf(w, "imgflow: a warning: %v\n", err)
	}
}
