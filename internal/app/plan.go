package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/explain"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

// Plan is a plan that is kept: what is asked for, with all that was read for it, and the
// graph that it has come to. A run of it does exactly that.
type Plan struct {
	PlanHead
	Request Request
	Sources sources
	Vars    map[string]string // those that are not stored with a run, too
	Salt    []byte            // of the keys; nil for the resume of a run, which has its own
	Frozen  bool              // the resume does not look at the template
	Records string            // digest of what the run had done
	Graph   *dag.Graph
}

// PlanHead is what is known of a plan without the identity that opens it.
type PlanHead struct {
	Imgflow  string    `json:"imgflow"` // the version that made it
	Made     time.Time `json:"made"`
	Template string    `json:"template"`
	Run      string    `json:"run,omitempty"` // that it resumes
}

const (
	planMagic  = "imgflow plan "
	planFormat = "1"
	maxPlan    = 256 << 20 // bytes of a plan, and of what it holds
)

// planFile is a plan as it is written, behind the line that says its format. It holds whole
// templates and secrets, so all but the head is sealed.
type planFile struct {
	PlanHead
	Sealed []byte `json:"sealed"`
}

// IsPlan tells whether a file that was begun to be read is a plan.
func IsPlan(begin []byte) bool { return bytes.HasPrefix(begin, []byte(planMagic)) }

// Keep returns the session's plan as a file's content, sealed for the identity of a home. Nothing is written
// down of it, but for that identity if there was none.
func (s *Session) Keep(home *state.Home, version string, frozen bool) ([]byte, error) {
	p := Plan{PlanHead: PlanHead{Imgflow: version, Made: time.Now().UTC(), Template: s.req.Template}, Request: *s.req, Sources: s.req.sources, Vars: s.req.Vars, Frozen: frozen, Graph: s.graph}
	p.Sources.Planned, p.Sources.Folder = true, s.req.folder()
	if s.wanted != nil {
		p.Graph = s.wanted
	}
	var err error
	if s.run == nil {
		p.Salt, err = s.salt()
	} else {
		p.Run = s.run.ID()
		p.Records, err = s.fingerprint()
	}
	if err != nil {
		return nil, err
	}
	inner, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the plan: %w", err)
	}
	if len(inner) > maxPlan/2 {
		return nil, usagef("cannot keep the plan: with its templates it has %d MiB, and may have %d", len(inner)>>20, maxPlan>>21)
	}
	file := planFile{PlanHead: p.PlanHead}
	if file.Sealed, err = home.Seal(inner); err != nil {
		return nil, fmt.Errorf("cannot keep the plan: %w", err)
	}
	outer, err := json.Marshal(file)
	return append([]byte(planMagic+planFormat+"\n"), append(outer, '\n')...), err
}

// ReadPlan reads a plan that Keep has made.
func ReadPlan(home *state.Home, path string) (*Plan, error) {
	src, err := localfile.Read(path, maxPlan)
	if err != nil {
		return nil, usagef("cannot read the plan: %w", err)
	}
	file, err := parsePlan(src)
	if err != nil {
		return nil, usagef("cannot use the plan %s: %w", path, err)
	}
	inner, err := home.Unseal(file.Sealed)
	if err != nil {
		return nil, usagef("cannot open the plan %s: %w", path, err)
	}
	p, err := parseSealed(inner)
	if err != nil {
		return nil, usagef("cannot use the plan %s: %w", path, err)
	}
	return p, nil
}

// parsePlan reads the outside of a plan, which may be anything.
func parsePlan(src []byte) (f planFile, err error) {
	if !IsPlan(src) {
		return f, errors.New("it is no plan: make one with " + self.Command("plan", "-out FILE"))
	}
	format, rest, _ := bytes.Cut(src[len(planMagic):], []byte("\n"))
	if string(format) != planFormat {
		return f, fmt.Errorf("its format is %.20q, and this imgflow knows %s: plan again", format, planFormat)
	}
	if json.Unmarshal(rest, &f) != nil || len(f.Sealed) == 0 {
		return f, errors.New("it is damaged: plan again")
	}
	return f, nil
}

func parseSealed(inner []byte) (*Plan, error) {
	var p Plan
	if json.Unmarshal(inner, &p) != nil || p.Graph == nil || p.Request.Template == "" || p.Run == "" && len(p.Salt) == 0 {
		return nil, errors.New("it is damaged: plan again")
	}
	p.Request.Vars, p.Request.sources = p.Vars, p.Sources
	return &p, nil
}

// fingerprint is a digest of what the run has done.
func (s *Session) fingerprint() (string, error) {
	recs, err := s.run.All()
	if err != nil {
		return "", err
	}
	slices.SortFunc(recs, func(a, b dag.Record) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	h := sha256.New()
	for _, r := range recs {
		fmt.Fprintln(h, r.Key, r.Gen, r.Status, r.Tries, r.Kept, r.Spent, r.Parted)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Carry makes the session that carries a plan out. It is an error if the run that it
// resumes has moved on since.
func (a *App) Carry(home *state.Home, p *Plan) (*Session, error) {
	req := p.Request
	if p.Run == "" {
		s := a.session(home, &req, nil)
		s.plan = p
		if s.astray != "" {
			s.Close()
			return nil, usagef("cannot run the plan: it was made for AWS itself, and the environment names %s: unset AWS_ENDPOINT_URL", s.astray)
		}
		return s, nil
	}
	run, err := home.Open(p.Run)
	if err != nil {
		return nil, err
	}
	s := a.session(home, &req, run)
	s.plan = p
	now, err := s.fingerprint()
	if err == nil && now != p.Records {
		err = usagef("cannot run the plan: run %s has moved on since: %s shows what is left to do", p.Run, self.Command("plan --run", p.Run))
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// LoadPlan compiles what the plan holds, and makes sure that it comes to the same graph. What a step
// reads of this machine, such as a script, and the environment may have changed, or imgflow.
func (s *Session) LoadPlan(ctx context.Context, version string) (news News, err error) {
	if s.run == nil {
		err = s.Load(ctx, true)
	} else {
		news, err = s.Preview(ctx, s.plan.Frozen)
	}
	if err != nil {
		return news, err
	}
	if err := s.asPlanned(version); err != nil {
		return news, err
	}
	if s.run != nil && news.Stored == "" {
		err = s.store()
	}
	return news, err
}

// asPlanned is an error that says what differs, if the graph is not that of the plan.
func (s *Session) asPlanned(version string) error {
	changed, gone := explain.Compare(s.plan.Graph, s.graph)
	if len(changed)+len(gone) == 0 {
		return nil
	}
	const most = 20
	var b strings.Builder
	fmt.Fprintf(&b, "cannot run the plan: it would not do what was planned:\n")
	for i, c := range changed {
		if i == most {
			fmt.Fprintf(&b, "\n  and %d more steps", len(changed)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s: %s: %s", strings.Join(c.Builds, ", "), c.Name, cmp.Or(c.Why, "it is new"))
		for k, l := range c.Diff {
			if k == most {
				fmt.Fprintf(&b, "\n    and %d lines more", len(c.Diff)-k)
				break
			}
			fmt.Fprintf(&b, "\n    %s %s", l.Op, l.Text)
		}
	}
	for i, n := range gone {
		if i == most {
			break
		}
		fmt.Fprintf(&b, "\n  %s: %s: it is not there any more", strings.Join(n.Builds, ", "), n.Name)
	}
	b.WriteString("\n\nPlan again to see what would be done now, or restore what has changed.")
	if s.plan.Imgflow != version {
		fmt.Fprintf(&b, " The plan was made by imgflow %s, and this is %s.", s.plan.Imgflow, version)
	}
	return usagef("%s", b.String())
}
