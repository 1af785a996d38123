package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/pgtest"
)

// crowd writes t.json: so many builds with the same provisioners, or of machines that nobody
// connects to.
func (s *stage) crowd(builds int, provisioners ...map[string]any) {
	s.t.Helper()
	var builders []any
	for i := range builds {
		b := map[string]any{"type": "amazon-ebs", "name": fmt.Sprintf("b%03d", i), "region": region, "instance_type": "t3.micro", "ssh_username": "ubuntu",
			"ami_name": fmt.Sprintf("crowd-%03d-{{uuid}}", i), "source_ami_filter": sourceFilter()}
		if len(provisioners) == 0 {
			b["communicator"] = "none"
		}
		builders = append(builders, b)
	}
	text, err := json.Marshal(map[string]any{"builders": builders, "provisioners": provisioners})
	if err != nil {
		s.t.Fatal(err)
	}
	s.file("t.json", string(text))
}

// onceEach are provisioners that see whether a script ran once, and of which each line can be
// told from all others.
func onceEach(ticks int) []map[string]any {
	return []map[string]any{
		inline("echo once >> ~/ran", fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "tick <$PACKER_BUILD_NAME.$i>"; sleep 0.2; done`, ticks)),
		inline(`test "$(cat ~/ran)" = once`),
	}
}

// stepEach are provisioners of which each says one line: as many steps, which write to the
// records all the time.
func stepEach(ticks int) (provisioners []map[string]any) {
	for i := range ticks {
		provisioners = append(provisioners, inline(fmt.Sprintf(`echo "tick <$PACKER_BUILD_NAME.%d>"`, i+1), "sleep 0.1"))
	}
	return provisioners
}

// linesOnce checks that each line of onceEach is in the log once, for each build.
func (s *stage) linesOnce(builds, ticks int) {
	s.t.Helper()
	seen := map[string]int{}
	for _, m := range regexp.MustCompile(`tick <(b\d+\.\d+)>`).FindAllStringSubmatch(s.must("logs"), -1) {
		seen[m[1]]++
	}
	for i := range builds {
		for n := 1; n <= ticks; n++ {
			if line := fmt.Sprintf("b%03d.%d", i, n); seen[line] != 1 {
				s.t.Errorf("line %s stands %d times in the log", line, seen[line])
			}
		}
	}
}

// databaseStage is a stage whose runs are in a PostgreSQL of its own.
func databaseStage(t *testing.T, endpoint ...string) *stage {
	t.Helper()
	database := pgtest.New(t)
	exe, err := fleetProgram()
	if err != nil {
		t.Fatal(err)
	}
	sandboxes(t, exe)
	s := stageOf(t, exe, append([]string{"--guest", "sandbox"}, endpoint...)...)
	s.database = database
	if err := s.world.begin(); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCampaignOfADatabase plays seeds, and kills at some writes, with the runs in PostgreSQL.
func TestCampaignOfADatabase(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	exe, err := fleetProgram()
	if err != nil {
		t.Fatal(err)
	}
	sandboxes(t, exe)
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "linux", dir: worlds(t), database: database}
	check(t)(play(t.Context(), *workers, both(c.few(101), c.boundary(scaled(60, 1))), logged{t}))
}

// TestPausedProcessIsFenced: an imgflow without a fleet is stopped for longer than its lease
// in the database, another one resumes its run, and then the first wakes.
func TestPausedProcessIsFenced(t *testing.T) {
	t.Parallel()
	s := databaseStage(t)
	const ticks = 150
	s.crowd(1, onceEach(ticks)...)
	first := s.begin(nil, "run", "t.json")
	s.hears(first, "tick <b000.5>")
	first.signal(syscall.SIGSTOP)
	second := s.begin(nil, "resume")
	s.hears(second, "tick <")
	first.signal(syscall.SIGCONT)
	if err := first.wait(patience); err != nil || first.code() == 0 || !strings.Contains(first.output(), "another process has taken it over") {
		t.Errorf("the first ended with %d, %v; it printed:\n%s", first.code(), err, indent(first.output()))
	}
	s.ends(second, 0)
	s.leaves(1)
	s.linesOnce(1, ticks)
	if n := s.launched(); n != 1 {
		t.Errorf("%d machines were launched", n)
	}
}

// TestDatabaseIsRestarted: PostgreSQL is killed, and stopped, in the middle of a run that
// writes to it. The run waits, and every line is there once.
func TestDatabaseIsRestarted(t *testing.T) {
	t.Parallel()
	s := databaseStage(t)
	builds, ticks := scaled(3, 30), 22
	s.crowd(builds, stepEach(ticks)...)
	p := s.begin(nil, "run", "t.json")
	for i, end := range []func() error{s.database.Kill, s.database.Stop} {
		s.hears(p, fmt.Sprintf("tick <b000.%d>", 5+15*i))
		if err := end(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := s.database.Start(); err != nil {
			t.Fatal(err)
		}
	}
	s.ends(p, 0)
	s.leaves(builds)
	s.linesOnce(builds, ticks)
}
