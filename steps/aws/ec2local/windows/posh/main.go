package posh

import (
	"context"
	"strings"
)

type (
	sink        func(any) error
	errorRecord struct{}
	shell       struct {
		ctx context.Context
		o   Options
		m   Machine
		env *Env
		dir string
	}
	callPrefs struct{ errors, warning, verbose string }
	Block     struct{}
)

const (
	streamWarning = 3
	streamVerbose = 4
)

// Main is powershell.exe with its command line.
func Main(ctx context.Context, o Options, args []string) int { return 1 }

func (s *shell) report(err error, pref string, c *Call) error               { return err }
func (s *shell) asCommandError(err error, c *Call) error                    { return err }
func (s *shell) message(stream int, text, pref string) error                { return nil }
func (s *shell) filePath(p string) (string, error)                          { return p, nil }
func (s *shell) invokeBlock(b *Block, input any, args []any) ([]any, error) { return nil, nil }
func elements(v any) []any                                                  { return nil }
func list(v any) ([]any, bool)                                              { return nil, false }
func wrap(v any) any                                                        { return v }
func toText(v any) string                                                   { return "" }
func truth(v any) bool                                                      { return false }
func foldKey(s string) string                                               { return strings.ToLower(s) }
