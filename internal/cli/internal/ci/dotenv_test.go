package ci

import (
	"fmt"
	"strings"
	"testing"
)

// A dotenv report has one line a value, by names that a shell takes, and no more than GitLab takes.
func TestDotenv(t *testing.T) {
	j := New("gitlab", nil)
	var b strings.Builder
	has := strings.Repeat("A=b\n", 17) + "B=" + strings.Repeat("x", 4930)
	out := j.Bounded(&b, []byte(has))
	for _, v := range [][2]string{
		{"run", "r1"},
		{"two", "a\nIMGFLOW_EVIL=1"},
		{"two", "a\rb"},
		{"image-" + OutputName("wéb-us-east-1"), "ami-1"},
		{"images", strings.Repeat("x", 120)},
		{"status", "done"},
		{"too", "many"},
	} {
		if err := j.Output(out, "MARK", v[0], v[1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.String(); got != "IMGFLOW_RUN=r1\nIMGFLOW_IMAGE_W_B_US_EAST_1=ami-1\nIMGFLOW_STATUS=done\n" {
		t.Errorf("%q", got)
	}
	b.Reset()
	out = j.Bounded(&b, nil)
	for i := range 100 {
		j.Output(out, "MARK", fmt.Sprint("v", i), strings.Repeat("x", 1000))
	}
	if n := b.Len(); n > dotenvBytes || n < dotenvBytes-1100 {
		t.Errorf("it has %d bytes", n)
	}
}
