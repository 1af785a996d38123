package guest

import (
	"bytes"
	"os"
	"sync"
)

// A console keeps more than this only until the next write.
const (
	consoleMax  = 1 << 20
	consoleKept = 64 << 10 // what EC2 gives back of a console
)

// console is what a guest printed, in a file. When the file has grown too long
// its beginning goes, as the oldest lines of a real console do.
type console struct {
	path string
	mu   sync.Mutex
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st, err := os.Stat(c.path); err == nil && st.Size() > consoleMax {
		if b, err := os.ReadFile(c.path); err == nil {
			b = b[max(0, len(b)-consoleKept):]
			if i := bytes.IndexByte(b, '\n'); i >= 0 {
				b = b[i+1:]
			}
			os.WriteFile(c.path, b, 0o600)
		}
	}
	f, err := os.OpenFile(c.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Write(p)
}

func (c *console) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, _ := os.ReadFile(c.path)
	return b
}
