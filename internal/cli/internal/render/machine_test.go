package render

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

func TestMachine(t *testing.T) {
	var b bytes.Buffer
	m := NewMachine(&b)
	m.now = func() time.Time { return time.Unix(1764445232, 0) }
	m.Line("", "version", "1.2.3")
	m.Line("web,2", "artifact", "0", "id", "us-east-1:ami-1,eu-west-1:ami-2", "a\nb\r\x1b[2J")
	ls := NewLines(m, Options{})
	ls.Say("one, two")
	ls.Event(dag.Event{Type: dag.Said, Text: "a detail\nof two lines", Builds: []string{"web"}})
	fmt.Fprint(m, "half ")
	fmt.Fprint(m, "a line\n\n")
	fmt.Fprintf(m.Errors(), "it failed\n")
	const want = `1764445232,,version,1.2.3
1764445232,web%!(PACKER_COMMA)2,artifact,0,id,us-east-1:ami-1%!(PACKER_COMMA)eu-west-1:ami-2,a\nb\r
1764445232,,ui,say,==> one%!(PACKER_COMMA) two
1764445232,,ui,message,    web: a detail
1764445232,,ui,message,    web: of two lines
1764445232,,ui,say,half a line
1764445232,,ui,error,it failed
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}
