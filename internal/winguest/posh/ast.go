package posh

// source is one text that was parsed.
type source struct {
	file string // "" for a command line
	text []rune
}

// span is where a piece of the script stands.
type span struct{ from, to int }

func (p span) where() span { return p }

type node interface{ where() span }

type stmt interface{ node }

type expr interface{ node }

// Block is a script block: its text, ready to run, and what it has captured.
type Block struct {
	ast   *blockAST
	scope *scope // what GetNewClosure has captured
}

type blockAST struct {
	span
	src      *source
	cmdlet   bool // an advanced function: unknown parameters are errors
	positive bool // PositionalBinding is not turned off
	params   []*paramAST
	hasParam bool
	begin    []stmt
	process  []stmt
	end      []stmt
	named    bool // begin, process or end are written
	hasProc  bool
	isFilter bool
	input    bool          // $input stands in it
	requires []requirement // of a whole script
}

type paramAST struct {
	span
	name, key string
	typ       *typeName
	def       expr
	need      bool
	pos       int // 0 is unset, else 1 + the position
	pipe      bool
	pipeName  bool
	rest      bool
	isSwitch  bool
	aliases   []string
	checks    []check
}

type check struct {
	kind string // "set", "range", "pattern", "script", "notnull", "notnullorempty", "count", "length"
	args []any
	body *blockAST
	src  *source
}

type typeName struct {
	name string // as written
	elem *typeName
	args []*typeName
}

func (t *typeName) String() string {
	if t.elem != nil {
		return t.elem.String() + "[]"
	}
	if len(t.args) == 0 {
		return t.name
	}
	s := t.name + "["
	for i, a := range t.args {
		if i > 0 {
			s += ","
		}
		s += a.String()
	}
	return s + "]"
}

// Statements.
type (
	pipeStmt struct {
		span
		elems []*elemAST
	}
	assignStmt struct {
		span
		target expr
		op     string // "=", "+=", …
		value  stmt
	}
	ifStmt struct {
		span
		conds []stmt
		then  [][]stmt
		other []stmt
		hasIt bool
	}
	loopStmt struct { // while, do while, do until, for
		span
		label      string
		init, next stmt
		cond       stmt
		body       []stmt
		after      bool // do: the condition comes after the body
		until      bool
	}
	foreachStmt struct {
		span
		label string
		v     *varExpr
		in    stmt
		body  []stmt
	}
	switchStmt struct {
		span
		label  string
		mode   string // "", "wildcard", "regex"
		exact  bool
		subj   stmt
		cases  []switchCase
		def    []stmt
		hasDef bool
	}
	switchCase struct {
		test expr
		body []stmt
	}
	funcStmt struct {
		span
		name string
		body *blockAST
	}
	flowStmt struct { // break, continue, return, throw, exit
		span
		kind  string
		label expr
		value stmt
	}
	tryStmt struct {
		span
		body    []stmt
		catches []catchAST
		finally []stmt
		hasFin  bool
	}
	catchAST struct {
		types []*typeName
		body  []stmt
	}
	trapStmt struct {
		span
		typ  *typeName
		body []stmt
	}
)

// elemAST is one element of a pipeline: an expression or a command.
type elemAST struct {
	span
	e      expr
	cmd    *cmdAST
	redirs []redirAST
}

type redirAST struct {
	from   int // stream; 0 is all
	to     int // stream to merge into; 0 is a file
	append bool
	file   expr
}

type cmdAST struct {
	span
	call  byte // '&', '.' or 0
	name  expr
	word  string // the name where it is a plain word
	lower string
	args  []argAST
}

type argAST struct {
	span
	param string // "Name" of -Name; "" is a value
	text  string // as written
	value expr   // nil for a parameter without a value of its own
	splat *varExpr
	raw   bool // --%: value is the rest of the line
}

// Expressions.
type (
	constExpr struct {
		span
		v    any
		text string // of a number in a command's arguments
		bare bool
	}
	stringExpr struct {
		span
		parts []expr
		bare  bool
	}
	varExpr struct {
		span
		name  string // as written, with its scope or drive
		drive string // lower case; "" for none
		key   string // lower case, without scope
	}
	arrayExpr struct { // @( )
		span
		body []stmt
	}
	subExpr struct { // $( )
		span
		body []stmt
	}
	parenExpr struct {
		span
		body stmt
	}
	listExpr struct {
		span
		items []expr
	}
	hashExpr struct {
		span
		keys    []expr
		vals    []stmt
		ordered bool
	}
	blockExpr struct {
		span
		body *blockAST
	}
	unaryExpr struct {
		span
		op string
		x  expr
	}
	binaryExpr struct {
		span
		op    string // lower case, without i or c
		exact bool   // the c form
		x, y  expr
	}
	castExpr struct {
		span
		typ *typeName
		x   expr
	}
	typeExpr struct {
		span
		typ *typeName
	}
	memberExpr struct {
		span
		x      expr
		name   expr
		static bool
		call   bool
		args   []expr
	}
	indexExpr struct {
		span
		x, i expr
	}
	stepExpr struct { // ++ and --
		span
		x      expr
		by     int
		prefix bool
	}
)
