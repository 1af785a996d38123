package batch

import (
	"errors"
	"github.com/imgflow/imgflow/internal/winguest/posh"
	"slices"
)

// rmdir never touches ERRORLEVEL; what it returns is the reason's number.
func rmdir(s *shell, args string) (int, error) {
	flags, names := switches(args)
	deep := false
	for _, f := range flags {
		switch f {
		case "s":
			deep = true
		case "q":
		default:
			s.complain("The syntax of the command is incorrect.")
			return 1, nil
		}
	}
	if len(names) == 0 {
		s.complain("The syntax of the command is incorrect.")
		return 1, nil
	}
	if deep && !slices.Contains(flags, "q") {
		return 1, s.refuse("rd /s without /q: it asks whether to go on, and nobody is there to answer")
	}
	code := 0
	for _, name := range names {
		full := s.abs(name)
		st, err := s.machine.Stat(full)
		switch {
		case err != nil && !s.isDir(folderOf(full)):
			code = 3
			s.complain("The system cannot find the path specified.")
		case err != nil:
			code = 2
			s.complain("The system cannot find the file specified.")
		case !st.IsDir():
			code = 267
			s.complain("The directory name is invalid.")
		default:
			if deep {
				err = s.removeAll(full)
			} else {
				err = s.machine.Remove(full)
			}
			if err != nil {
				code = codeOf(err)
				s.complain("%s", removal(err))
			}
		}
	}
	return code, s.ctx.Err()
}

// codeOf is the number of the reason why a folder could not be removed.
func codeOf(err error) int {
	switch {
	case errors.Is(err, posh.ErrNotEmpty):
		return 145
	case errors.Is(err, posh.ErrSharing):
		return 32
	}
	return 5
}

// removal is what Windows says of a folder that could not be removed.
func removal(err error) string {
	if errors.Is(err, posh.ErrNotEmpty) {
		return "The directory is not empty."
	}
	return reason(err)
}

// removeAll removes a folder with as much in it as it can. What stays is named,
// but for the folder itself, whose reason it returns.
func (s *shell) removeAll(dir string) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	list, err := s.machine.List(dir)
	if err != nil {
		return err
	}
	for _, f := range list {
		at := join(dir, f.Name)
		if f.IsDir() {
			err = s.removeAll(at)
		} else {
			err = s.machine.Remove(at)
		}
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		if err != nil {
			s.complain("%s - %s", at, removal(err))
		}
	}
	return s.machine.Remove(dir)
}
