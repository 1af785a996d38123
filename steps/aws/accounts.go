package aws

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// AccountCopies is one block accounts: copies of the image that another account owns.
type AccountCopies struct {
	// The role of the other account that copies the image there, taken with the credentials of the build. It has to be
	// given.
	RoleARN string `json:"role_arn,omitempty"`
	// The external id that the owner of the role asks for. Default: none.
	ExternalID string `json:"external_id,omitempty"`
	// The regions to copy in, of those that get an image. Default: all of them.
	Regions []string `json:"regions,omitempty"`
	// The KMS key of the copies, in each region; an alias such as alias/images serves in all of them. Default: the other
	// account's own where the image is encrypted, else none.
	KMSKeyID string `json:"kms_key_id,omitempty"`
	// The KMS key of the copy, by region, in place of `kms_key_id`. Default: none.
	RegionKMSKeyIDs map[string]string `json:"region_kms_key_ids,omitempty"`
	// Tags of the copies and their snapshots, beside those of the image. Default: none.
	Tags map[dag.Text]dag.Text `json:"tags,omitempty" option:"late=source+build"`
	// The time at which the copies count as deprecated, as `deprecate_at` has it. Default: that of the image.
	DeprecateAt string `json:"deprecate_at,omitempty"`
	// Where the ids of the copies are written in the other account, as a block that may be repeated.
	Publish []Publish `json:"publish,omitempty"`
}

// role is how the other account is called.
func (a AccountCopies) role() AssumeRole {
	return AssumeRole{RoleARN: a.RoleARN, ExternalID: a.ExternalID}
}

// ownerOf is the account of a role, or "".
func ownerOf(role string) string {
	if wrongRole(role) != "" {
		return ""
	}
	return strings.Split(role, ":")[4]
}

// in reports whether there is to be a copy in a region that has an image.
func (a AccountCopies) in(region string) bool {
	return len(a.Regions) == 0 || slices.Contains(a.Regions, region)
}

func (a AccountCopies) keyOf(region string) string {
	return cmp.Or(a.RegionKMSKeyIDs[region], a.KMSKeyID)
}

// sharedIn reports whether anybody else may use the image of a region, or its snapshots.
func (b *EBS) sharedIn(region string) bool {
	return b.Sharing.shared() || slices.ContainsFunc(b.Accounts, func(a AccountCopies) bool { return a.in(region) })
}

func (b *EBS) sharedAnywhere() bool { return b.Sharing.shared() || len(b.Accounts) > 0 }

// withAccounts are those with whom the image is shared, whoever copies it among them.
func (b *EBS) withAccounts() Sharing {
	s := b.Sharing
	for _, a := range b.Accounts {
		if owner := ownerOf(a.RoleARN); owner != "" && !slices.Contains(s.SnapshotUsers, owner) {
			s.SnapshotUsers = append(slices.Clip(s.SnapshotUsers), owner)
		}
	}
	return s
}

// locateAccounts makes the accounts known that get copies.
func (b *EBS) locateAccounts() error {
	b.owners = nil
	for i, a := range b.Accounts {
		by := b.Access
		by.Then = a.role()
		b.owners = append(b.owners, b.cloud.Register(by))
		for _, r := range a.Regions {
			if !slices.Contains(b.resultRegions(), r) {
				return fmt.Errorf("cannot copy the image to %s of accounts[%d]: the build leaves no image in that region; name it in ami_regions", r, i)
			}
		}
	}
	return nil
}

// copyToAccounts adds a chain of steps for each account that gets a copy of a region's image. They
// have nothing in common: what one account refuses fails its own steps alone. The account copies
// what is shared with it, so the copy is its own, by its own key. The image stays open to it: what it
// holds is the account's by then, and a resume may have to copy again.
func (w *wiring) copyToAccounts(region string, of dag.Out[ReadyImage], tested []dag.Key) (copies []dag.Out[ReadyImage]) {
	g, bd := w.g, w.build
	for i, a := range w.Accounts {
		if !a.in(region) {
			continue
		}
		owner, place := ownerOf(a.RoleARN), Place{w.owners[i], region}
		called := func(step string) string { return step + "-" + owner + "-" + region }
		first := Place{place.Account, w.place.Region}
		if len(a.Regions) > 0 {
			first.Region = a.Regions[0]
		}
		access := dag.Add(g, bd, "access-"+owner+"-"+first.Region, CheckAccess{first})
		check := dag.Add(g, bd, called("name-check"), NameCheck{Place: place, Name: w.AMIName, Force: w.force(), Access: access})
		dag.Goal(g, check) // the copy reads none of what has to come first: its key is the same whatever that was
		before := []dag.Key{check.Key()}
		step := CopyImage{Place: place, Of: of, Name: w.AMIName, Source: w.source, Description: w.AMIDescription, Tags: mergeTags(w.imageTags(), a.Tags),
			SnapshotTags: withBlocks(w.SnapshotTags, w.SnapshotTag), Through: a.role()}
		if key := a.keyOf(region); key != "" || w.encrypts() {
			step.Encrypt = Encrypt{All: true, Key: key}
			if key != "" {
				keys := dag.Add(g, bd, called("kms-keys"), CheckKeys{Place: place, Keys: []string{key}, Access: access})
				dag.Goal(g, keys)
				before = append(before, keys.Key())
			}
		}
		share := dag.Add(g, bd, called("share"), Share{Of: of, Sharing: Sharing{Users: []string{owner}}})
		volumes := dag.Add(g, bd, called("share-snapshots"), ShareSnapshots{Of: of, Users: []string{owner}})
		dag.Goal(g, share)
		dag.Goal(g, volumes)
		for _, k := range []dag.Key{share.Key(), volumes.Key()} {
			g.Sequence(k, append(slices.Clone(before), tested...)...) // nothing is opened to an account that cannot copy it
		}
		before = append(before, share.Key(), volumes.Key())
		if w.force() {
			step.Free = dag.Add(g, bd, called("deregister"), Deregister{Place: place, Name: w.AMIName, Ready: of})
			g.Sequence(step.Free.Key(), before...)
			g.Sequence(step.Free.Key(), tested...)
		}
		copied := dag.Add(g, bd, called("copy"), step)
		g.Sequence(copied.Key(), append(before, tested...)...)
		wait := w.readyWith(copied, step.Tags)
		wait.Owner = owner
		if step.Encrypt.All {
			wait.Key = cmp.Or(step.Encrypt.Key, awsKey)
		}
		there := dag.Add(g, bd, called("copy-ready"), wait)
		dag.Keep(g, copied, there)
		copies = append(copies, there)

		goal := func(k dag.Key, more ...dag.Key) {
			g.Sequence(k, more...)
			g.Sequence(k, tested...)
		}
		var done []dag.Key
		if step.Free.Set() && w.ForceDeleteSnapshot {
			drop := dag.Add(g, bd, called("drop-snapshots"), DropSnapshots{Old: step.Free, New: there})
			dag.Goal(g, drop)
			done = append(done, drop.Key())
		}
		done = append(done, w.addAttributes(called, there, cmp.Or(a.DeprecateAt, w.DeprecateAt))...)
		for _, k := range done {
			goal(k)
		}
		for n, p := range a.Publish {
			if len(p.Regions) > 0 && !slices.Contains(p.Regions, region) {
				continue
			}
			goal(w.publishBlock(called(publishName(n)), p, place.Account, a.RoleARN, there), done...)
		}
	}
	return copies
}

var roles = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$`)

// longestRole is how long the ARN of a role may be that STS gives credentials of.
const longestRole = 2048

func wrongRole(arn string) string {
	if len(arn) <= longestRole && roles.MatchString(arn) {
		return ""
	}
	return shown(arn) + " is no role such as arn:aws:iam::123456789012:role/images"
}

// checkAccounts looks at the blocks accounts.
func (b *EBS) checkAccounts(f *optionErrors) {
	if len(b.Accounts) > 0 && b.SkipCreateAMI {
		f.Idle("accounts", "skip_create_ami makes no image")
		return
	}
	home, seen := b.home(), map[string]bool{}
	images := slices.Concat([]string{home}, b.AMIRegions)
	if b.SkipSaveBuildRegion {
		images = slices.DeleteFunc(images, func(r string) bool { return r == home })
	}
	elsewhere := func(r string) bool {
		return !unknown(r) && home != "" && !slices.Contains(images, r) && !slices.ContainsFunc(images, unknown)
	}
	for i, a := range b.Accounts {
		at := fmt.Sprintf("accounts[%d].", i)
		switch {
		case a.RoleARN == "":
			f.Add(at+"role_arn", "must be set: the role of the other account that copies the image")
		case unknown(a.RoleARN):
			f.Add(at+"role_arn", "cannot be sensitive, or made of what only the build knows: the image is shared with its account")
		default:
			f.wrong(at+"role_arn", wrongRole(a.RoleARN))
		}
		if unknown(a.ExternalID) {
			f.Add(at+"external_id", "cannot be sensitive: the records of the run have it, so that the copies can be removed without the template")
		}
		for n, r := range a.Regions {
			if elsewhere(r) {
				f.Add(fmt.Sprintf("%sregions[%d]", at, n), "there will be no image in %s to copy: name it in ami_regions", r)
			}
		}
		regions := a.Regions
		if len(regions) == 0 {
			regions = images
		}
		regions = slices.Compact(slices.Sorted(slices.Values(regions)))
		for _, r := range regions {
			before := len(f.OptionErrors)
			if a.RegionKMSKeyIDs[r] == "" {
				f.key(at+"kms_key_id", a.KMSKeyID, r)
			}
			if len(f.OptionErrors) > before {
				break
			}
		}
		for _, r := range slices.Sorted(maps.Keys(a.RegionKMSKeyIDs)) {
			f.key(at+"region_kms_key_ids."+r, a.RegionKMSKeyIDs[r], r)
			if home != "" && !slices.Contains(regions, r) && !slices.ContainsFunc(regions, unknown) {
				f.Add(at+"region_kms_key_ids."+r, "there is no copy in %s, so none has this key", r)
			}
		}
		f.tags(at+"tags", a.Tags)
		if tags := mergeTags(b.imageTags(), a.Tags); len(a.Tags) > 0 && !f.tooMany(at+"tags", "the copy", tags) {
			f.tooMany(at+"tags", "a snapshot of the copy", mergeTags(tags, withBlocks(b.SnapshotTags, b.SnapshotTag)))
		}
		f.given(at+"deprecate_at", a.DeprecateAt, func(when string) string { return wrongDeprecation(when, false, time.Now()) })
		for n, p := range a.Publish {
			within := fmt.Sprintf("%spublish[%d].", at, n)
			b.checkPublishBlock(f, within, p)
			if p.AssumeRole.RoleARN != "" {
				f.Add(within+"assume_role.role_arn", "cannot be given here: a copy is published by the role_arn of its account")
			}
			b.checkPublishRegions(f, within, p, a.RoleARN, regions, seen)
		}
		for _, r := range regions {
			if owner := ownerOf(a.RoleARN); owner != "" && seen[owner+" "+r] {
				f.Add(strings.TrimSuffix(at, "."), "makes a copy in %s of the account %s, as another block does", r, owner)
				break
			} else {
				seen[owner+" "+r] = true
			}
		}
	}
	b.tellOfKeys(f)
}

// tellOfKeys says what nobody can look at from here: whether the other accounts may use the keys
// that the image is encrypted with.
func (b *EBS) tellOfKeys(f *optionErrors) {
	var owners []string
	for _, a := range b.Accounts {
		if owner := ownerOf(a.RoleARN); owner != "" && !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	keyed := b.encrypts() || slices.ContainsFunc(b.LaunchMappings, func(d BlockDevice) bool { return d.KMSKeyID != "" })
	if keyed && len(owners) > 0 {
		f.Doubt("accounts", "the policies of the keys that encrypt the image have to let %s use them (kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:ReEncryptFrom), which cannot be looked at", list(owners))
	}
}
