package cli

import (
	"maps"
	"slices"
	"testing"

	"github.com/imgflow/imgflow/internal/app"
)

// withoutFiles are the kinds of steps that have nothing to do with local files.
var withoutFiles = []string{
	"aws.access", "aws.admit", "aws.bucket", "aws.candidate", "aws.copied", "aws.copy", "aws.data-ami", "aws.data-parameter", "aws.data-secret", "aws.deprecate", "aws.deregister", "aws.drop-snapshots", "aws.enhance", "aws.fast-launch", "aws.fast-launch-template", "aws.grant", "aws.group",
	"aws.image", "aws.imds", "aws.import", "aws.import-copy", "aws.import-product", "aws.import-ready", "aws.imported", "aws.keep-volumes", "aws.keypair", "aws.kms-keys", "aws.launch", "aws.name",
	"aws.connect-endpoint", "aws.network", "aws.pass", "aws.password", "aws.product", "aws.product-codes", "aws.profile", "aws.protect", "aws.publish-parameter", "aws.publish-template", "aws.ready", "aws.register", "aws.regroup", "aws.role", "aws.session", "aws.share", "aws.share-snapshots", "aws.source", "aws.spot-prices", "aws.stop", "aws.swap-root", "aws.values", "aws.volumes", "aws.wait", "aws.snapshot", "aws.snapshot-ready", "aws.volume-product",
	"builtin.consul", "builtin.http", "builtin.machine", "builtin.product", "builtin.vault", "comm.clear", "comm.connect", "comm.hostkey", "comm.key", "post.discard",
	"provision.breakpoint", "provision.scan-image", "provision.sleep", "provision.windows-restart", "provision.windows-update",
}

// Of each kind of step is known whether it has to do with local files, which the workers of a fleet hand to each other: a
// new one is put into one of two lists, or this fails.
func TestKindsOfLocalFiles(t *testing.T) {
	var all []string
	for _, k := range newWorld(app.WorldOptions{}).Kinds() {
		all = append(all, k.Name)
	}
	known := slices.Concat(withoutFiles, slices.Collect(maps.Keys(localKinds)))
	slices.Sort(all)
	slices.Sort(known)
	for _, name := range all {
		if !slices.Contains(known, name) {
			t.Errorf("%s is in no list: put it into localKinds if it reads or writes local files, else into withoutFiles", name)
		}
	}
	for _, name := range known {
		if !slices.Contains(all, name) {
			t.Errorf("%s is no kind of step", name)
		}
	}
	if n := len(known); len(slices.Compact(known)) != n {
		t.Error("a kind is in both lists")
	}
}
