package statetest

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/state"
)

// long is as much as a blob holds, and n more.
func long(n int) *bytes.Reader { return bytes.NewReader(make([]byte, state.MaxBlob+n)) }

func blobs(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	sums := map[string]string{}
	for _, content := range []string{"", "echo hello", "\x00\xff binary"} {
		for range 2 {
			sum, err := r.PutBlob(strings.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			sums[sum] = content
		}
	}
	whole, err := r.PutBlob(long(0))
	if err != nil || len(sums) != 3 {
		t.Fatalf("%d sums, %v", len(sums), err)
	}
	if _, err := r.PutBlob(long(1)); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("too much: %v", err)
	}
	r.Close()
	r = open(t, p.home(t), r.ID())
	for sum, content := range sums {
		if got, err := r.Blob(sum); err != nil || string(got) != content {
			t.Errorf("%q came back as %q, %v", content, got, err)
		}
	}
	if got, err := r.Blob(whole); err != nil || len(got) != state.MaxBlob {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	nosuch := strings.Repeat("0", 64)
	for _, sum := range []string{nosuch, "", "../run.json", whole[:63]} {
		if _, err := r.Blob(sum); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", sum, err)
		}
	}
}
