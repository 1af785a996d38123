package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Settings are what a server was started with.
type Settings struct {
	Guest   string   `json:"guest,omitempty"`
	Latency string   `json:"latency,omitempty"`
	Faults  []string `json:"faults,omitempty"`
}

// Args are the flags of the server for these settings.
func (s Settings) Args() (args []string) {
	if s.Guest != "" {
		args = append(args, "--guest="+s.Guest)
	}
	if s.Latency != "" {
		args = append(args, "--latency="+s.Latency)
	}
	for _, f := range s.Faults {
		args = append(args, "--fault="+f)
	}
	return args
}

func (s Settings) String() string {
	if args := s.Args(); len(args) > 0 {
		return strings.Join(args, " ")
	}
	return "the default settings"
}

// differs says what of the wish a server with the settings s does not fulfil.
// What is not wished for may be anything.
func (s Settings) differs(wish Settings) bool {
	return wish.Guest != "" && wish.Guest != "auto" && wish.Guest != s.Guest ||
		wish.Latency != "" && wish.Latency != s.Latency ||
		len(wish.Faults) > 0 && !slices.Equal(wish.Faults, s.Faults)
}

// Server is where a server answers, as it tells in server.json.
type Server struct {
	PID    int    `json:"pid"`
	Addr   string `json:"addr"`             // host:port
	Limits string `json:"limits,omitempty"` // what its guests cannot do, in a line
	Settings
}

// Endpoint is the server's URL.
func (s Server) Endpoint() string { return "http://" + s.Addr }

const (
	serverFile = "server.json"
	lockFile   = "lock"
	logFile    = "server.log"
)

// ErrLocked is the error of Own for a directory that another server has.
var ErrLocked = errors.New("another server has the directory")

// Own takes the directory for a server, until release is called or the process
// ends.
func Own(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep the embedded EC2 in %s: %w", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = tryLock(f)
	}
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, fmt.Errorf("cannot serve from %s: %w", dir, err)
	}
	return func() { Withdraw(dir); f.Close() }, nil
}

// Announce tells where the server of the directory answers.
func Announce(dir string, s Server) error {
	p, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "."+serverFile)
	if err = os.WriteFile(tmp, append(p, '\n'), 0o600); err == nil {
		err = os.Rename(tmp, filepath.Join(dir, serverFile))
	}
	if err != nil {
		return fmt.Errorf("cannot tell where the embedded EC2 answers: %w", err)
	}
	return nil
}

// Withdraw takes the announcement back: nobody new will find the server.
func Withdraw(dir string) { os.Remove(filepath.Join(dir, serverFile)) }

// find reads where the server of the directory answers; fs.ErrNotExist if there
// is none.
func find(dir string) (s Server, err error) {
	p, err := os.ReadFile(filepath.Join(dir, serverFile))
	if err == nil {
		err = json.Unmarshal(p, &s)
	}
	return s, err
}

// logTail is the end of what the server printed from the offset on.
func logTail(dir string, from int64) string {
	f, err := os.Open(filepath.Join(dir, logFile))
	if err != nil {
		return ""
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil {
		f.Seek(max(from, fi.Size()-4096), io.SeekStart)
	}
	p, err := io.ReadAll(f)
	if err != nil && !errors.Is(err, fs.ErrClosed) {
		return ""
	}
	ls := strings.Split(strings.TrimSpace(string(p)), "\n")
	return strings.Join(ls[max(0, len(ls)-5):], "\n")
}
