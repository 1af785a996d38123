package cli

import (
	"os/exec"
	"strings"
	"testing"
)

// fleetOnly are the modules that only imgflow-fleet may link.
var fleetOnly = []string{"go.temporal.io/", "github.com/jackc/pgx/"}

// What many machines need weighs as much as all the rest: imgflow has none of it.
func TestOnlyTheFleetLinksWhatFleetsNeed(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../cmd/imgflow").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), module+"/internal/cli\n") {
		t.Fatalf("that is not what imgflow links:\n%s", out)
	}
	for _, path := range strings.Fields(string(out)) {
		for _, no := range fleetOnly {
			if strings.HasPrefix(path, no) {
				t.Errorf("imgflow links %s", path)
			}
		}
	}
}
