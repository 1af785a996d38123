package batch

import (
	"fmt"
)

// A node is a command as it was read: what is in it is expanded when it runs.
type node interface{}

type simple struct {
	name, args string
	quiet      bool
	to         []redirect
	at         int
}

type group struct {
	body  []node
	quiet bool
	to    []redirect
}

// joined are two commands with & && || or | between them.
type joined struct {
	op          string
	left, right node
}

type remark struct{ text string }

type branch struct {
	not, fold   bool
	op          string // exist defined errorlevel cmdextversion == equ neq …
	left, right string
	then, els   node // els may be nil
	quiet       bool
	to          []redirect
	at          int
}

type loop struct {
	kind  byte   // 0, d, r, l or f
	opt   string // of /f; where /r starts
	name  byte
	set   string
	body  node
	quiet bool
	to    []redirect
	at    int
}

// redirect is one of > >> < with the handle that it changes.
type redirect struct {
	handle int
	op     string // < > >> or &: a copy of another handle
	target string
}

func (r redirect) String() string {
	if r.op == "&" {
		return fmt.Sprintf("%d>&%s", r.handle, r.target)
	}
	return fmt.Sprintf("%d%s%s", r.handle, r.op, r.target)
}
