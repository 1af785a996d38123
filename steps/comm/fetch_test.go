package comm

import (
	"context"
	"os"
	"testing"
)

// downloadDir is DownloadDir into a directory of its own, which is made.
func downloadDir(ctx context.Context, r Remote, src, dst string) error {
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dst)
	if err != nil {
		return err
	}
	defer root.Close()
	return r.DownloadDir(ctx, src, root, ".")
}

func newUnpacker(t testing.TB, root *os.Root) *unpacker {
	return &unpacker{root: root, dir: ".", out: omitted{warn: t.Logf}, m: &meter{t: dagTask("t", nil)}}
}
