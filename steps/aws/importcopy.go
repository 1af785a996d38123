package aws

import (
	"context"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// NameImport gives an imported image a name: EC2 changes no image's, so it is a copy that
// has it. The copy is an Image of its own, for which ImportReady waits; until then
// the imported one stays.
type NameImport struct {
	Of          dag.Out[Imported]     `json:"of" dag:"attach"`
	Name        string                `json:"name"`
	Description dag.Text              `json:"description,omitempty"`
	Tags        map[dag.Text]dag.Text `json:"tags,omitempty"`
	Encrypt     Encrypt               `json:"encrypt,omitzero"` // as the imported image; else the copy has the account's own key
}

func (NameImport) Kind() string    { return "aws.import-copy" }
func (s NameImport) Title() string { return "name the image " + s.Name }

// Patience covers the limit on copies at once.
func (NameImport) Patience() time.Duration { return CopyImage{}.Patience() }

// Do asks for the copy, as CopyImage does.
func (s NameImport) Do(ctx context.Context, c *Cloud, t *dag.Task) (Image, error) {
	of := s.Of.Value()
	var from ReadyImage
	from.ID, from.Region, from.Account, from.Name = of.ID, of.Region, of.Account, s.Name
	return CopyImage{Place: of.Place, Of: dag.Lit(from), Description: s.Description, Tags: s.Tags, Encrypt: s.Encrypt}.Do(ctx, c, t)
}
