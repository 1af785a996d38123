package comm

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/tree"
)

// treeScript makes a directory of what spell writes.
//
//go:embed sh/tree.sh
var treeScript string

// spell writes what the directory holds for machines without tar, as calls of the
// functions of treeScript.
func spell(w io.Writer, src string, m *meter) error {
	b := bufio.NewWriterSize(w, block)
	look := func(fi fs.FileInfo) string {
		return octal(fi.Mode()) + " " + fi.ModTime().UTC().Format("200601021504.05")
	}
	var leave []string // directories get their modes when all in them is there
	err := tree.Walk{}.Each(src, func(e tree.Entry) error {
		name := word("./" + e.Name)
		switch {
		case e.Link != "":
			fmt.Fprintf(b, "link %s %s\n", name, word(e.Link))
			return nil
		case e.Info.IsDir():
			fmt.Fprintf(b, "dir %s\n", name)
			leave = append(leave, fmt.Sprintf("leave %s %s\n", name, look(e.Info)))
			return nil
		}
		fmt.Fprintf(b, "file %s %s %d\n", name, look(e.Info), e.Info.Size())
		return content(b, e, m)
	})
	if err != nil {
		return err
	}
	slices.Reverse(leave)
	for _, l := range leave {
		b.WriteString(l)
	}
	b.WriteString("end\n")
	return b.Flush()
}

// word makes one word of sh, on one line, of any text without NUL.
func word(s string) string { return strings.ReplaceAll(quote(s), "\n", `'"$nl"'`) }
