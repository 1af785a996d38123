package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/secrettest"
)

// Scan looks for secrets in all tables of a database. The error says where one is.
func (s *Server) Scan(url string, secrets []string) error {
	tables, err := s.query(url, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		return err
	}
	var found []error
	for table := range strings.Lines(string(tables)) {
		table = strings.TrimSpace(table)
		rows, err := s.query(url, "COPY "+table+" TO STDOUT (FORMAT binary)")
		if err != nil {
			return err
		}
		found = append(found, secrettest.In("table "+table, rows, secrets))
	}
	return errors.Join(found...)
}

// query is what a statement answers, by psql, which is installed with the server.
func (s *Server) query(url, sql string) ([]byte, error) {
	cmd := exec.Command(filepath.Join(s.bin, "psql"), "-XAt", "-v", "ON_ERROR_STOP=1", "-c", sql, url)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot ask the database: %w: %s", err, said.Bytes())
	}
	return out, nil
}

// clean fails a test whose secrets are in one of its databases.
func (s *Server) clean(t testing.TB, urls ...string) {
	secrets := secrettest.Of(t)
	if len(secrets) == 0 {
		return
	}
	for _, url := range urls {
		if err := s.Scan(url, secrets); err != nil {
			t.Errorf("PostgreSQL: %v", err)
		}
	}
}
