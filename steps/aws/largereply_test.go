package aws

import (
	"bytes"
	"testing"
)

// Memory is taken as a reply grows, and all of it is read, up to the bound.
func TestReadBody(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789abcdef"), 3*largeReply/16)
	for _, n := range []int{0, 1000, firstRead - 1, firstRead, firstRead + 1, largeReply, largeReply + 1, len(whole)} {
		for _, most := range []int{1000, firstRead, largeReply, len(whole)} {
			looks := 0
			got, err := readBody(t.Context(), bytes.NewReader(whole[:n]), most, func([]byte) bool { looks++; return false })
			if err != nil || !bytes.Equal(got, whole[:min(n, most)]) {
				t.Errorf("%d bytes of which %d may be read: %d came, %v", n, most, len(got), err)
			}
			if cap(got) > 4*max(n, firstRead) {
				t.Errorf("%d bytes need %d bytes of memory", n, cap(got))
			}
			if looks > 10 {
				t.Errorf("%d bytes are looked through %d times", n, looks)
			}
		}
	}
	got, err := readBody(t.Context(), bytes.NewReader(whole), len(whole), func(begun []byte) bool { return len(begun) > 100 })
	if err != nil || len(got) != firstRead {
		t.Errorf("read %d bytes of what is hopeless, %v", len(got), err)
	}
}
