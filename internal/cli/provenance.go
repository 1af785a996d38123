package cli

import (
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/internal/provenance"
	"github.com/imgflow/imgflow/state"
)

// writeProvenance prints the statement of a run in its envelope.
func writeProvenance(c *cli.Context, home *state.Home, id string) error {
	key, err := signingKey(c.String("sign-key"))
	if err != nil {
		return err
	}
	h, err := app.History(home, id)
	if err != nil {
		return err
	}
	h.Version, h.Describe = versionText(), describe
	s, err := provenance.Of(h)
	if err != nil {
		return err
	}
	e, err := provenance.Seal(s, key)
	if err != nil {
		return err
	}
	p, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("cannot write the statement: %w", err)
	}
	fmt.Fprintf(c.App.Writer, "%s\n", p)
	return nil
}

// writeSBOM prints the last list of what was installed on the machine of a build.
func writeSBOM(c *cli.Context, home *state.Home, id string) error {
	h, err := app.History(home, id)
	if err != nil {
		return err
	}
	var builds []string
	var last dag.Record
	for _, r := range h.Records {
		if listOf(r) == "" || c.IsSet("build") && !slices.Contains(r.Builds, c.String("build")) {
			continue
		}
		builds = append(builds, r.Builds...)
		if r.Finished.After(last.Finished) {
			last = r
		}
	}
	slices.Sort(builds)
	switch builds = slices.Compact(builds); {
	case len(builds) == 0 && c.IsSet("build"):
		return usagef("cannot show what was installed by %s in run %s: there is no such build, or it has no provisioner sbom", c.String("build"), id)
	case len(builds) == 0:
		return usagef("cannot show what was installed in run %s: no build has a provisioner sbom that was done", id)
	case len(builds) > 1 && !c.IsSet("build"):
		return usagef("cannot show what was installed in %d builds: choose one with --build: %s", len(builds), strings.Join(builds, ", "))
	}
	_, err = io.WriteString(c.App.Writer, listOf(last))
	return err
}

// maxKey is how many bytes a file with keys may have.
const maxKey = 1 << 20

func signingKey(path string) (crypto.Signer, error) {
	if path == "" {
		return nil, nil
	}
	text, err := localfile.Read(path, maxKey)
	if err != nil {
		return nil, usagef("cannot read the key to sign with: %w", err)
	}
	key, err := provenance.PrivateKey(text)
	if err != nil {
		return nil, usagef("cannot sign with %s: %w", path, err)
	}
	return key, nil
}

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check the statement of an image's provenance", ArgsUsage: "FILE", Category: lookGroup,
		Description: `   FILE is what ` + "`imgflow show --provenance --sign-key KEY`" + ` has printed; - is standard
   input. The exit status is 1 if it was changed, or signed by nobody whose key was given.

   imgflow verify --key build.pub statement.json
   imgflow verify --key build.pub --image ami-0a63b6f51e8c2d94f statement.json`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "key", Usage: "a `FILE` of public keys that may have signed, in PEM or as OpenSSH has them; may be repeated"},
			&cli.StringSliceFlag{Name: "image", Usage: "an image `ID` that the statement must be about; may be repeated"},
			jsonFlag("print the statement that was signed as JSON"),
		},
		Action: verify,
	}
}

func verify(c *cli.Context) error {
	if err := wantArgs(c, 1, 1, "the file of a statement"); err != nil {
		return err
	}
	var keys []crypto.PublicKey
	for _, path := range c.StringSlice("key") {
		text, err := localfile.Read(path, maxKey)
		if err != nil {
			return usagef("cannot read a public key: %w", err)
		}
		ks, err := provenance.PublicKeys(text)
		if err != nil {
			return usagef("cannot verify with %s: %w", path, err)
		}
		keys = append(keys, ks...)
	}
	if len(keys) == 0 {
		return usagef("cannot verify without --key: it names the file of a public key that may have signed")
	}
	text, err := statementText(c.Args().First())
	if err != nil {
		return err
	}
	s, by, err := provenance.Open(text, keys)
	if err != nil {
		return err
	}
	for _, id := range c.StringSlice("image") {
		if !slices.ContainsFunc(s.Subject, func(d provenance.Descriptor) bool { return d.Digest["awsId"] == id }) {
			return errcode.With(errcode.StatementInvalid, fmt.Errorf("cannot verify %s: the statement is signed, and says nothing of it", id))
		}
	}
	if c.Bool("json") {
		return render.Indented(c.App.Writer, s)
	}
	render.Statement(c.App.Writer, s, by)
	return nil
}

// statementText reads a file, or standard input.
func statementText(path string) (text []byte, err error) {
	if path == "-" {
		text, err = localfile.ReadAll(stdin.r, "standard input", provenance.MaxSize)
	} else {
		text, err = localfile.Read(path, provenance.MaxSize)
	}
	if err != nil {
		return nil, usagef("cannot read the statement: %w", err)
	}
	return text, nil
}
