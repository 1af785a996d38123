package render

import (
	"fmt"
	"io"

	"github.com/imgflow/imgflow/internal/errcode"
)

// CodeJSON is what is known of a code of failures.
type CodeJSON struct {
	Code    errcode.Code `json:"code"`
	Summary string       `json:"summary"`
	Means   string       `json:"means"`
	Do      string       `json:"do"`
}

// NewCodes are codes as programs read them.
func NewCodes(infos []errcode.Info) (list []CodeJSON) {
	for _, i := range infos {
		list = append(list, CodeJSON(i))
	}
	return list
}

// Codes tells people of codes.
func Codes(w io.Writer, infos []errcode.Info) {
	for n, i := range infos {
		if n > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: %s\n\n%s\n\nWhat to do: %s\n", i.Code, i.Summary, i.Means, i.Do)
	}
}
