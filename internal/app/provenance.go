package app

import (
	"errors"
	"io/fs"

	"github.com/imgflow/imgflow/internal/provenance"
	"github.com/imgflow/imgflow/state"
)

// History is what a statement of a run's provenance is made of, but for what its
// things are called. It is no secret.
func History(home *state.Home, id string) (provenance.Run, error) {
	run, err := home.Look(id)
	if err != nil {
		return provenance.Run{}, err
	}
	defer run.Close()
	var req Request
	if err := run.Doc(requestDoc, &req); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return provenance.Run{}, err
	}
	records, err := run.All()
	if err != nil {
		return provenance.Run{}, err
	}
	s := run.Summary()
	return provenance.Run{
		ID: s.ID, Started: s.Started, Ended: s.Ended, Records: records,
		Parameters: provenance.Parameters{
			Template: req.Template, Digest: req.Digest, Variables: req.Vars, VarFiles: req.VarFiles, Only: req.Only, Except: req.Except,
			Enforced: req.Enforce, Endpoint: req.Endpoint, Local: req.Local,
		},
	}, nil
}
