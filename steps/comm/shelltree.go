package comm

import (
	"archive/tar"
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/internal/tree"
)

// treeScript makes a directory of what writeShellTree writes.
//
//go:embed sh/tree.sh
var treeScript string

// writeShellTree writes what the directory holds for machines without tar, as calls of the
// functions of treeScript.
func writeShellTree(w io.Writer, src string, m *meter) error {
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
func word(s string) string { return strings.ReplaceAll(quote.Sh(s), "\n", `'"$nl"'`) }

// readScript sends a directory as readShellTree takes it.
//
//go:embed sh/read.sh
var readScript string

// readShellTree unpacks what readScript sends.
func (u *unpacker) readShellTree(r io.Reader) error {
	defer u.closeDir()
	b := bufio.NewReaderSize(r, maxFrame)
	text := func() (string, error) {
		s, err := b.ReadSlice(0)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return "", damaged(errors.New("it has a name without an end"))
		case err != nil:
			return "", errDropped
		}
		return string(s[:len(s)-1]), nil
	}
	for {
		line, err := text()
		if err != nil {
			return err
		}
		if line == "end" {
			break
		}
		h, err := shellTreeHeader(line)
		if err == nil && h.Typeflag == tar.TypeSymlink {
			h.Linkname, err = text()
		}
		if err == nil {
			err = u.entry(h, io.LimitReader(b, h.Size))
		}
		if err != nil {
			return err
		}
	}
	if _, err := b.ReadByte(); err != io.EOF {
		return damaged(errors.New("more follows its end"))
	}
	return u.finish()
}

// shellTreeHeader reads a line of readScript.
func shellTreeHeader(line string) (*tar.Header, error) {
	kinds := map[string]byte{"f": tar.TypeReg, "d": tar.TypeDir, "l": tar.TypeSymlink, "x": tar.TypeFifo}
	bad := damaged(fmt.Errorf("it has the line %.200q", line))
	f := strings.SplitN(line, " ", 5)
	if len(f) != 5 || kinds[f[0]] == 0 {
		return nil, bad
	}
	mode, err1 := strconv.ParseUint(f[1], 8, 32)
	when, err2 := strconv.ParseInt(f[2], 10, 64)
	size, err3 := strconv.ParseUint(f[3], 10, 63)
	if errors.Join(err1, err2, err3) != nil {
		return nil, bad
	}
	return &tar.Header{Typeflag: kinds[f[0]], Name: f[4], Mode: int64(mode), ModTime: time.Unix(when, 0), Size: int64(size)}, nil
}
