package guest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"syscall"
)

// bootMessage is the first message to a guest: how its file system is made.
type bootMessage struct {
	Store    string    `json:"store"`  // becomes the working directory, so that mount options stay relative and short
	ID       string    `json:"id"`     // guests/<ID>
	Layers   []string  `json:"layers"` // topmost first; the last is the base
	Overlays []overlay `json:"overlays"`
	Hostname string    `json:"hostname"`
	OneID    bool      `json:"one_id"` // only uid 0 is mapped
	BootID   string    `json:"boot_id"`
	Resolv   []byte    `json:"resolv,omitempty"`
	ResolvAt string    `json:"resolv_at,omitempty"` // set when the host's resolv.conf leads into /run
	Mounts   []string  `json:"mounts,omitempty"`    // where the mounts go that come beside it; the program's comes last and is not named
}

// request goes from the server to a guest's pid 1; descriptors travel beside it.
type request struct {
	ID   uint64   `json:"id"`
	Op   string   `json:"op"` // setup, exec, keys, passwords, signal, stop
	Argv []string `json:"argv,omitempty"`
	Role string   `json:"role,omitempty"` // this program in a role, instead of the user's shell
	Env  []string `json:"env,omitempty"`
	User string   `json:"user,omitempty"`
	Pty  bool     `json:"pty,omitempty"`
	Rows uint16   `json:"rows,omitempty"`
	Cols uint16   `json:"cols,omitempty"`
	Sig  int      `json:"sig,omitempty"`
}

// reply goes from pid 1 to the server.
type reply struct {
	ID   uint64 `json:"id"`
	Op   string `json:"op"` // binds, ready, setup, started, exit, keys, fail, down
	Pid  int    `json:"pid,omitempty"`
	Code int    `json:"code"`
	Sig  int    `json:"sig,omitempty"`
	Err  string `json:"err,omitempty"`
	Keys []byte `json:"keys,omitempty"`
	Exit Exit   `json:"exit,omitempty"`
}

const maxMessage = 200 << 10 // one SOCK_SEQPACKET packet; net.core.wmem_default is 208 KiB

func send(c *net.UnixConn, v any, fds ...int) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // shell lines are full of < > &
	if err := enc.Encode(v); err != nil {
		return err
	}
	if b.Len() > maxMessage {
		return fmt.Errorf("a message of %d bytes to a guest is over the limit of %d", b.Len(), maxMessage)
	}
	var oob []byte
	if len(fds) > 0 {
		oob = syscall.UnixRights(fds...)
	}
	_, _, err := c.WriteMsgUnix(b.Bytes(), oob, nil)
	return err
}

// receive reads one message into v and returns the descriptors that came with
// it (close-on-exec). An error means that the other side has gone.
func receive(c *net.UnixConn, buf []byte, v any) ([]int, error) {
	oob := make([]byte, syscall.CmsgSpace(16*4))
	n, on, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, net.ErrClosed
	}
	var fds []int
	if on > 0 {
		ms, err := syscall.ParseSocketControlMessage(oob[:on])
		if err != nil {
			return nil, err
		}
		for _, m := range ms {
			f, err := syscall.ParseUnixRights(&m)
			if err != nil {
				return nil, err
			}
			fds = append(fds, f...)
		}
	}
	return fds, json.Unmarshal(buf[:n], v)
}

func socketpair() (ours *net.UnixConn, theirs *os.File, err error) {
	p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, err = fdConn(p[0])
	return ours, os.NewFile(uintptr(p[1]), "control"), err
}

func fdConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "control")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}
