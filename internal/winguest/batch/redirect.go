package batch

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// stream is what a handle stands for.
type stream struct {
	r    io.Reader
	w    io.Writer
	file posh.File
}

func (s *shell) writer(n int) io.Writer {
	if s.io[n] == nil || s.io[n].w == nil {
		return io.Discard
	}
	return s.io[n].w
}

func (s *shell) reader() io.Reader {
	if s.io[0] == nil || s.io[0].r == nil {
		return strings.NewReader("")
	}
	return s.io[0].r
}

// within runs a command with its redirections. Where one of them cannot be made,
// the command does not run, and ERRORLEVEL stays as it is.
func (s *shell) within(to []redirect, run func() (int, error)) (int, error) {
	if len(to) == 0 {
		return run()
	}
	before := s.io
	var opened []*stream
	defer func() {
		s.io = before
		for _, o := range opened {
			o.file.Close()
		}
	}()
	for _, r := range to {
		st, err := s.redirect(r)
		if err != nil {
			if errors.As(err, new(*refusal)) {
				return 1, err
			}
			s.complain("%s", reason(err))
			return 1, nil
		}
		s.io[r.handle] = st
		if r.op != "&" && st.file != nil {
			opened = append(opened, st)
		}
	}
	return run()
}

func (s *shell) redirect(r redirect) (*stream, error) {
	if r.op == "&" {
		return s.io[r.target[0]-'0'], nil
	}
	target, err := s.expand(r.target)
	if err != nil {
		return nil, err
	}
	target = unquoteName(target)
	switch base := strings.ToLower(target[strings.LastIndexAny(target, `\/`)+1:]); strings.TrimSuffix(base, ":") {
	case "nul":
		return &stream{r: strings.NewReader(""), w: io.Discard}, nil
	case "con", "prn", "aux", "conin$", "conout$":
		return nil, s.refuse("a redirection to %s: this machine has no such device", quoted(target))
	}
	how := posh.Open{Mode: posh.Create, Access: posh.Write, Share: posh.ShareRead | posh.ShareDelete}
	switch r.op {
	case "<":
		how = readShared
	case ">>":
		how.Mode = posh.Append
	}
	f, err := s.machine.Open(s.abs(target), how)
	if err != nil {
		return nil, err
	}
	if r.op == "<" {
		return &stream{r: f, file: f}, nil
	}
	return &stream{w: f, file: f}, nil
}

var readShared = posh.Open{Mode: posh.OpenExisting, Access: posh.Read, Share: posh.ShareReadWrite | posh.ShareDelete}

// reason is what Windows says of an error.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	if errors.Is(err, io.ErrClosedPipe) {
		return "The process tried to write to a nonexistent pipe."
	}
	return err.Error()
}
