package hostile

import (
	"archive/tar"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Linux is a machine over SSH that lies. It lets everybody in and runs nothing:
// for each program that imgflow sends it has an answer, and a field that is nil
// answers as an honest machine would that has little to tell.
type Linux struct {
	// RC is what is printed before anything that a program prints, as rc files do.
	RC func(out, errs io.Writer)
	// Glob is what a wildcard matches.
	Glob []string
	// Archive answers for each directory that is fetched: a tar stream that is not
	// compressed.
	Archive func(dir string, w *tar.Writer)
	// Program answers any program but that of a script, before the fields below do;
	// with false it leaves it to them.
	Program func(text string, out, errs io.Writer) (status int, answered bool)
	// Run follows a script in the frames of imgflow; see run.
	Run func(r *Run)
	// Files are what SFTP shows; nil: every path is a short file.
	Files *Files
	// NoSFTP refuses SFTP, so that all goes by programs.
	NoSFTP bool
	// NoTar has no tar, so that directories are fetched by SFTP, or without both.
	NoTar bool
}

// spells is a machine with neither tar nor SFTP, which answers so for a directory.
func spells(answer func(out io.Writer)) *Linux {
	return &Linux{NoTar: true, NoSFTP: true, Program: func(text string, out, _ io.Writer) (int, bool) {
		switch {
		case strings.Contains(text, "stat -L"):
			io.WriteString(out, "41ed 0 1\n") // a directory
		case strings.Contains(text, "readlink"):
			answer(out)
		default:
			return 0, false
		}
		return 0, true
	}}
}

// serve answers on the listener until stop is called.
func (x *Linux) serve(l net.Listener, hostKey string) (stop func(), err error) {
	var key ssh.Signer
	if hostKey != "" {
		key, err = ssh.ParsePrivateKey([]byte(hostKey))
	} else {
		var priv ed25519.PrivateKey
		if _, priv, err = ed25519.GenerateKey(rand.Reader); err == nil {
			key, err = ssh.NewSignerFromSigner(priv)
		}
	}
	if err != nil {
		return nil, err
	}
	conf := &ssh.ServerConfig{
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil },
		PasswordCallback:  func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil },
	}
	conf.AddHostKey(key)
	var conns open
	go conns.accept(l, func(c net.Conn) { x.answer(c, conf) })
	return func() { l.Close(); conns.close() }, nil
}

// open are the connections that a server has.
type open struct {
	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
}

func (o *open) accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		o.mu.Lock()
		if o.closed {
			c.Close()
		}
		if o.conns == nil {
			o.conns = map[net.Conn]bool{}
		}
		o.conns[c] = true
		o.mu.Unlock()
		go func() {
			serve(c)
			c.Close()
			o.mu.Lock()
			delete(o.conns, c)
			o.mu.Unlock()
		}()
	}
}

func (o *open) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for c := range o.conns {
		c.Close()
	}
}

func (x *Linux) answer(c net.Conn, conf *ssh.ServerConfig) {
	conn, chans, reqs, err := ssh.NewServerConn(c, conf)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(reqs)
	for nc := range chans {
		if nc.ChannelType() != "session" {
			nc.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		ch, reqs, err := nc.Accept()
		if err != nil {
			return
		}
		go x.session(ch, reqs)
	}
}

func (x *Linux) session(ch ssh.Channel, reqs <-chan *ssh.Request) {
	for r := range reqs {
		var p struct{ Text string }
		switch {
		case r.Type == "exec" && ssh.Unmarshal(r.Payload, &p) == nil:
			r.Reply(true, nil)
			go func() {
				ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(x.exec(p.Text, ch))}))
				ch.Close()
			}()
		case r.Type == "subsystem" && !x.NoSFTP:
			r.Reply(true, nil)
			go func() {
				defer ch.Close()
				x.Files.serve(ch)
			}()
		default:
			r.Reply(false, nil)
		}
	}
}

// length is how many bytes of program the command of imgflow takes from its input.
var length = regexp.MustCompile(`count=(\d+)`)

// begin is what imgflow waits for before it believes what a program prints.
const begin = "\nimgflow:begin\n"

// exec answers one program.
func (x *Linux) exec(command string, ch ssh.Channel) (status int) {
	m := length.FindStringSubmatch(command)
	if m == nil {
		return 127
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n > 1<<20 {
		return 127
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(ch, b); err != nil {
		return 127
	}
	if x.RC != nil {
		x.RC(ch, ch.Stderr())
	}
	text := string(b)
	if strings.HasPrefix(text, "T=") {
		r := &Run{ch: ch, numbers: strings.Count(ending.FindString(text), "$")}
		fmt.Sscanf(text, "T=%s OP=%s", &r.Token, &r.Op)
		r.serve(x.Run)
		return 0
	}
	io.WriteString(ch, begin)
	if x.Program != nil {
		if status, ok := x.Program(text, ch, ch.Stderr()); ok {
			return status
		}
	}
	switch {
	case strings.Contains(text, "\nfor f in "):
		for _, name := range x.Glob {
			io.WriteString(ch, name+"\x00")
		}
		return 0
	case strings.Contains(text, "tar -c"):
		if x.NoTar {
			return 101
		}
		io.WriteString(ch, "0\n")
		w := tar.NewWriter(ch)
		if x.Archive != nil {
			x.Archive(dirOf(text), w)
		}
		w.Close()
		return 0
	}
	return 0
}

// dirOf is the directory that the program for fetching one names.
func dirOf(text string) string {
	_, rest, _ := strings.Cut(text, "\nd='")
	dir, _, _ := strings.Cut(rest, "'\n")
	return dir
}

// Run is a script that imgflow follows.
type Run struct {
	Token, Op string
	ch        ssh.Channel
	numbers   int // that the end of a script is told by
}

// ending is how the program that follows a script says that it has ended.
var ending = regexp.MustCompile(`say "S( \$\w+)+"`)

// Write sends what is no frame, or the bytes of one.
func (r *Run) Write(p []byte) (int, error) { return r.ch.Write(p) }

// Stderr is the other stream of the session.
func (r *Run) Stderr() io.Writer { return r.ch.Stderr() }

// End says that the script ended well, after so many bytes of standard output, and
// waits until that is acknowledged.
func (r *Run) End(printed int64) {
	end := "\x01\nEND" + r.Token + "\n"
	fmt.Fprintf(r.ch, "O %d %d\n%sE 0 %d\n%sS%s\n", printed, len(end), end, len(end), end, strings.Repeat(" 0", r.numbers))
	io.Copy(readUntil{"ack " + r.Token + "\n"}, r.ch)
	io.WriteString(r.ch, "A\n")
}

// serve follows a script that prints nothing and ends well, unless told otherwise.
func (r *Run) serve(run func(*Run)) {
	fmt.Fprintf(r.ch, "\nIMGF1 %s 0b5c5b4e-0000-4000-8000-000000000000\n", r.Token)
	if run != nil {
		run(r)
		return
	}
	r.End(0)
}

var errHeard = errors.New("heard")

// readUntil is a writer that ends when it has been told a text.
type readUntil struct{ text string }

func (u readUntil) Write(p []byte) (int, error) {
	if strings.HasSuffix(string(p), u.text) {
		return 0, errHeard
	}
	return len(p), nil
}
