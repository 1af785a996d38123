package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps"
)

const (
	second = "210987654321"
	third  = "333333333333"
)

// inAccounts has copies in such accounts.
func (b *EBS) inAccounts(ids ...string) *EBS {
	for _, id := range ids {
		b.Accounts = append(b.Accounts, AccountCopies{RoleARN: "arn:aws:iam::" + id + ":role/images"})
	}
	return b
}

// refuseRole has STS refuse the roles of an account.
func (w *world) refuseRole(account string) {
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, form url.Values) bool {
		if action != "AssumeRole" || !strings.Contains(form.Get("RoleArn"), account) {
			return false
		}
		rw.WriteHeader(403)
		io.WriteString(rw, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>The test says no.</Message></Error><RequestId>r</RequestId></ErrorResponse>`)
		return true
	})
}

// theirs are the images and the snapshots that another account has in a region.
func (w *world) theirs(account, region string) ([]types.Image, []types.Snapshot) {
	w.t.Helper()
	name := w.cloud.Register(Access{Region: region, Then: AssumeRole{RoleARN: "arn:aws:iam::" + account + ":role/looks"}})
	at := must(w.cloud.site(w.t.Context(), Place{name, region}))
	images := must(at.api.DescribeImages(w.t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDeprecated: ptr(true)})).Images
	return images, must(at.api.DescribeSnapshots(w.t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})).Snapshots
}

// Each account has copies of its own in each region. What one refuses fails its steps alone, and a
// resume makes what is missing, and nothing else. All of it goes by the roles.
func TestAccounts(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template().inAccounts(second, third)
	b.AMIRegions, b.IMDSSupport, b.DeprecateAt = []string{west}, "v2.0", "2031-01-01T00:00:00Z"
	b.Tags = map[dag.Text]dag.Text{"os": "linux", "of": "us"}
	b.Accounts[1].Tags, b.Accounts[1].DeprecateAt = map[dag.Text]dag.Text{"of": parsed("{{ .SourceAMIOwner }}")}, "2032-01-01T00:00:00Z"
	b.Accounts[1].ExternalID = "images"
	b.Accounts[1].Publish = []Publish{{Parameter: "/images/web", Regions: []string{west}}}
	w.refuseRole(second)
	store, g := &dag.MemStore{}, w.graph(b)
	r, err := w.engine(store, &events{}).Solve(t.Context(), g)
	if err != nil || len(r.Failed) != 1 || r.Failed[0].Name != "access-"+second+"-"+home || !strings.Contains(r.Failed[0].Err.Error(), "The test says no (the credentials lack the permission sts:AssumeRole)") {
		t.Fatalf("%v, failed %v", err, r.Failed)
	}
	w.front.setPlay(nil)
	for _, region := range []string{home, west} {
		if mine := w.imagesIn(region); len(mine) != 1 {
			t.Errorf("%s: %+v", region, mine)
		}
		images, snapshots := w.theirs(third, region)
		if len(images) != 1 || len(snapshots) != 1 || *images[0].OwnerId != third || text(images[0].Name) != "image-1" || images[0].ImdsSupport != "v2.0" || !strings.HasPrefix(text(images[0].DeprecationTime), "2032-01-01T00:00") {
			t.Fatalf("%s: %+v of %+v", region, images, snapshots)
		}
		if tags := tagMap(images[0].Tags); tags["os"] != "linux" || tags["of"] != "099720109477" || tags[TagExpires] != "never" || tagMap(snapshots[0].Tags)[TagExpires] != "never" {
			t.Errorf("%s: %v, %v", region, tags, snapshots[0].Tags)
		}
		if images, _ := w.theirs(second, region); len(images) > 0 {
			t.Errorf("%s: %+v", region, images)
		}
	}
	published := struct{ Parameter struct{ Value, ARN string } }{}
	if err := w.cloud.callJSON(t.Context(), Place{b.owners[1], west}, parameterStore, "GetParameter", map[string]string{"Name": "/images/web"}, &published); err != nil {
		t.Error(err)
	}
	if images, _ := w.theirs(third, west); published.Parameter.Value != *images[0].ImageId || !strings.Contains(published.Parameter.ARN, ":"+third+":") {
		t.Errorf("%+v", published)
	}

	before := w.made()
	w.forget(g)
	w.build(store, g)
	if made := w.made() - before; made != 2 {
		t.Errorf("the resume made %d things, not two copies", made)
	}
	var owners []string
	for _, record := range must(store.All()) {
		for _, a := range record.Artifacts {
			owners = append(owners, a.Owner+":"+a.Region)
		}
	}
	slices.Sort(owners)
	if want := []string{second + ":" + home, second + ":" + west, third + ":" + home, third + ":" + west, ":" + home, ":" + west}; !slices.Equal(owners, want) {
		t.Errorf("artifacts of %q", owners)
	}

	// Whoever removes all of it later has no template, and the roles are told by the records.
	w.cloud = NewCloud(w.cloud.o)
	e := w.engine(store, &events{})
	var nodes []dag.Node
	for _, record := range must(store.All()) {
		nodes = append(nodes, record.Node)
	}
	w.cloud.Learn(nodes)
	w.destroyed(e)
	for _, region := range []string{home, west} {
		for _, account := range []string{second, third} {
			if images, snapshots := w.theirs(account, region); len(images)+len(snapshots) > 0 {
				t.Errorf("left in %s of %s: %+v %+v", region, account, images, snapshots)
			}
		}
	}
	w.only(0)
}

// A copy is encrypted with a key of its account, and fails alone where there is none.
func TestAccountKeys(t *testing.T) {
	w := seeded(t, `{"kms_keys": ["alias/a"]}`)
	b := template().encrypted("alias/a").regions(map[string]string{west: "alias/a"}).inAccounts(second, third)
	b.Accounts[0].KMSKeyID, b.Accounts[1].KMSKeyID = "alias/theirs", "alias/theirs"
	b.Accounts[0].RegionKMSKeyIDs = map[string]string{west: "alias/west"}
	doubts := b.Check()
	if len(doubts) != 1 || doubts[0].Field != "accounts" || !doubts[0].Harmless || !strings.Contains(doubts[0].Text, second+", "+third) {
		t.Errorf("%v", doubts)
	}
	b.cloud = w.cloud
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	for region, alias := range map[string]string{home: "alias/theirs", west: "alias/west"} {
		var made struct{ KeyMetadata struct{ KeyId string } }
		at := Place{b.owners[0], region}
		err := errors.Join(w.cloud.callJSON(t.Context(), at, keyService, "CreateKey", struct{}{}, &made))
		if err = errors.Join(err, w.cloud.callJSON(t.Context(), at, keyService, "CreateAlias", map[string]string{"AliasName": alias, "TargetKeyId": made.KeyMetadata.KeyId}, &struct{}{})); err != nil {
			t.Fatal(err)
		}
	}
	g := dag.NewGraph(nil)
	b.Wire(g, dag.Build{Name: "amazon-ebs", Type: "amazon-ebs"}, unprovisioned)
	r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), g)
	if err != nil || len(r.Failed) != 2 || !strings.HasPrefix(r.Failed[0].Name, "kms-keys-"+third) || !strings.HasPrefix(r.Failed[1].Name, "kms-keys-"+third) {
		t.Fatalf("%v, failed %v", err, r.Failed)
	}
	for _, region := range []string{home, west} {
		_, snapshots := w.theirs(second, region)
		if len(snapshots) != 1 || !*snapshots[0].Encrypted || !strings.Contains(text(snapshots[0].KmsKeyId), ":"+region+":"+second+":key/") {
			t.Errorf("%s: %+v", region, snapshots)
		}
	}
}

// An older image in the other account gives way by its role, and so do its snapshots.
func TestForceInAnotherAccount(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.build(&dag.MemStore{}, w.graph(template().inAccounts(second)))
	old, oldSnapshots := w.theirs(second, home)
	run := func(name string, force bool) *dag.Report {
		t.Helper()
		b := template().inAccounts(second)
		b.ForceDeregister, b.ForceDeleteSnapshot = force, force
		e := must(dag.New(dag.Options{Run: name, Store: &dag.MemStore{}, Kinds: w.kinds(), Sink: &events{}}))
		r, err := e.Solve(t.Context(), w.graph(b))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	var failed []string
	for _, f := range run("r2", false).Failed {
		failed = append(failed, f.Name)
	}
	if slices.Sort(failed); !slices.Equal(failed, []string{"name-check", "name-check-" + second + "-" + home}) {
		t.Errorf("a name that is taken: %q", failed)
	}
	if r := run("r3", true); len(r.Failed) > 0 {
		t.Fatal(r.Failed)
	}
	images, snapshots := w.theirs(second, home)
	if len(images) != 1 || len(snapshots) != 1 || *images[0].ImageId == *old[0].ImageId || *snapshots[0].SnapshotId == *oldSnapshots[0].SnapshotId {
		t.Errorf("%+v %+v", images, snapshots)
	}
}

// The place of a copy whose making was cut off is known: an account that refuses is no matter of
// what the others have.
func TestCopyIsLookedForInItsPlace(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template().inAccounts(second, third)
	g := w.graph(b)
	of := w.ready("name")
	step := CopyImage{Place: Place{b.owners[0], home}, Of: dag.Lit(of), Name: "copy", Through: b.Accounts[0].role()}
	if _, err := w.site().api.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{ImageId: &of.ID, LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{{UserId: ptr(second)}}}}); err != nil {
		t.Fatal(err)
	}
	var again *dag.RetryError
	if _, err := step.Do(t.Context(), w.cloud, task("early")); !errors.As(err, &again) || !strings.Contains(err.Error(), "does not show yet that its snapshots are shared") {
		t.Errorf("before its snapshots are shared: %v", err)
	}
	must(ShareSnapshots{Of: dag.Lit(of), Users: []string{second}}.Do(t.Context(), w.cloud, task("share")))
	k := task("cut")
	made := must(step.Do(t.Context(), w.cloud, k))
	w.forget(g)
	w.refuseRole(third)
	calls := w.front.total()
	found, err := Image{}.Find(t.Context(), w.cloud, k)
	if err != nil || found.ID != made.ID || found.Place != made.Place {
		t.Errorf("%+v, %v", found, err)
	}
	if n := w.front.total() - calls; n > 2 { // the role is taken, and the image looked for
		t.Errorf("%d calls", n)
	}
	// Nor is what the build itself has made looked for there.
	if _, err := (Instance{}).Find(t.Context(), w.cloud, task("none")); !errors.Is(err, dag.ErrNotFound) {
		t.Error(err)
	}
}

// The account of a role is told by its name: one that refuses does not keep a run from going on.
func TestOwnerOfARole(t *testing.T) {
	a := newAsked(t, groupsOf("111122223333"), "111122223333")
	c := NewCloud(CloudOptions{Getenv: os.Getenv})
	b := template().inAccounts(second)
	b.cloud = c
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.learn(Place{b.owners[0], home})
	owners, err := c.Owners(t.Context())
	if err != nil || owners[b.owners[0]] != second || owners[b.place.Account] != "111122223333" || a.calls["AssumeRole"] > 0 {
		t.Errorf("%v, %v, calls %v", owners, err, a.calls)
	}
}

func TestCheckAccounts(t *testing.T) {
	role := func(change func(*AccountCopies)) []AccountCopies {
		a := AccountCopies{RoleARN: "arn:aws:iam::" + second + ":role/images"}
		change(&a)
		return []AccountCopies{a}
	}
	for name, c := range map[string]struct {
		field string
		of    []AccountCopies
	}{
		"no role":         {"accounts[0].role_arn", []AccountCopies{{}}},
		"a user":          {"accounts[0].role_arn", []AccountCopies{{RoleARN: "arn:aws:iam::" + second + ":user/images"}}},
		"a secret":        {"accounts[0].role_arn", []AccountCopies{{RoleARN: dag.MarkOpen + "x"}}},
		"a secret id":     {"accounts[0].external_id", role(func(a *AccountCopies) { a.ExternalID = dag.MarkOpen + "x" })},
		"another region":  {"accounts[0].regions[0]", role(func(a *AccountCopies) { a.Regions = []string{"eu-west-1"} })},
		"a key elsewhere": {"accounts[0].kms_key_id", role(func(a *AccountCopies) { a.KMSKeyID = "arn:aws:kms:eu-west-1:" + second + ":alias/a" })},
		"no key":          {"accounts[0].region_kms_key_ids." + west, role(func(a *AccountCopies) { a.RegionKMSKeyIDs = map[string]string{west: "x y"} })},
		"key of no copy":  {"accounts[0].region_kms_key_ids.eu-west-1", role(func(a *AccountCopies) { a.RegionKMSKeyIDs = map[string]string{"eu-west-1": "alias/a"} })},
		"a tag of ours":   {"accounts[0].tags.imgflow:run", role(func(a *AccountCopies) { a.Tags = map[dag.Text]dag.Text{"imgflow:run": "x"} })},
		"no time":         {"accounts[0].deprecate_at", role(func(a *AccountCopies) { a.DeprecateAt = "soon" })},
		"nothing":         {"accounts[0].publish[0].ssm_parameter", role(func(a *AccountCopies) { a.Publish = []Publish{{}} })},
		"a role within":   {"accounts[0].publish[0].assume_role.role_arn", role(func(a *AccountCopies) { a.Publish = []Publish{{Parameter: "/a", AssumeRole: a.role()}} })},
		"published twice": {"accounts[0].publish[1]", role(func(a *AccountCopies) {
			a.Publish = []Publish{{Parameter: "/a"}, {Parameter: "/a", Regions: []string{west}}}
		})},
		"copied twice":     {"accounts[1]", append(role(func(*AccountCopies) {}), role(func(a *AccountCopies) { a.Regions = []string{west} })...)},
		"region by region": {"", append(role(func(a *AccountCopies) { a.Regions = []string{home} }), role(func(a *AccountCopies) { a.Regions = []string{west} })...)},
		"all is well": {"", role(func(a *AccountCopies) {
			a.KMSKeyID, a.ExternalID, a.Publish = "alias/theirs", "x", []Publish{{Parameter: "/a"}, {Template: "web"}}
			a.RegionKMSKeyIDs = map[string]string{west: "arn:aws:kms:" + west + ":" + second + ":alias/a"}
		})},
	} {
		b := template()
		b.AMIRegions, b.Accounts = []string{west}, c.of
		fs := b.Check()
		if c.field == "" && len(fs) > 0 || c.field != "" && (len(fs) != 1 || fs[0].Field != c.field) {
			t.Errorf("%s: %v", name, fs)
		}
	}
	b := template().inAccounts(second)
	b.SkipCreateAMI = true
	if fs := b.Check(); len(fs) != 1 || fs[0].Field != "accounts" || !fs[0].Harmless {
		t.Errorf("without an image: %v", fs)
	}
	b = template().inAccounts(second)
	b.AMIRegions, b.SkipSaveBuildRegion, b.Accounts[0].Regions = []string{west}, true, []string{home}
	if fs := b.Check(); len(fs) != 1 || fs[0].Field != "accounts[0].regions[0]" {
		t.Errorf("where no image stays: %v", fs)
	}
	// What cannot be shared cannot be copied by another account.
	b = template().encrypted("").inAccounts(second)
	if fs := b.Check(); len(fs) == 0 || fs[0].Field != "encrypt_boot" || fs[0].Harmless {
		t.Errorf("encrypted with the account's own key: %v", fs)
	}
	b = template().encrypted("alias/a").regions(map[string]string{west: ""}).inAccounts(second)
	if fs := b.Check(); len(fs) == 0 || fs[0].Field != "region_kms_key_ids."+west || fs[0].Harmless {
		t.Errorf("a copy with the account's own key: %v", fs)
	}
	b.Accounts[0].Regions = []string{home}
	if fs := b.Check(); slices.ContainsFunc(fs, func(f steps.OptionError) bool { return !f.Harmless }) {
		t.Errorf("only another region's key can be shared: %v", fs)
	}
}

// Two builds whose copies would have one name in one account are refused before they begin.
func TestAccountClaims(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	a, b := template().inAccounts(second, third), template().inAccounts(third)
	a.cloud, b.cloud, b.Access.AccessKey = w.cloud, w.cloud, "OTHER"
	both := map[string]int{}
	for _, c := range slices.Concat(a.Claims(), b.Claims()) {
		both[c.What]++
	}
	if both["an image of that name in us-east-1 of the account "+second] != 1 || both["an image of that name in us-east-1 of the account "+third] != 2 {
		t.Errorf("%v", both)
	}
	if x, y := a.Claims()[2], b.Claims()[1]; x.Key != y.Key {
		t.Errorf("%q is not %q", x.Key, y.Key)
	}
}

// A fleet has a lane for each account in each region: the calls of one wait for nobody else's.
func TestAccountLanes(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template().inAccounts(second, third)
	b.AMIRegions = []string{west}
	lanes := map[string]int{}
	for _, n := range w.graph(b).Nodes {
		if n.Kind == (CopyImage{}).Kind() {
			lanes[w.cloud.Site(n.Spec)]++
		}
	}
	if len(lanes) != 5 { // and our own copy
		t.Errorf("%v", lanes)
	}
}

// The graph grows by as many steps as there are copies, and compiling it by as much.
func TestAccountsGrowEvenly(t *testing.T) {
	nodes := func(n int) int { return len(accountsGraph(n).Nodes) }
	one, ten, many := nodes(1), nodes(10), nodes(100)
	if each := (ten - one) / 9; many != one+99*each || each > 8 {
		t.Errorf("%d, %d and %d steps for 1, 10 and 100 accounts", one, ten, many)
	}
}

func accountsGraph(n int) *dag.Graph {
	b := template()
	for i := range n {
		b.inAccounts(fmt.Sprintf("%012d", 200000000000+i))
	}
	b.cloud = NewCloud(CloudOptions{Endpoint: "http://127.0.0.1:1"})
	if err := b.Prepare(context.Background()); err != nil {
		panic(err)
	}
	g := dag.NewGraph(nil)
	b.Wire(g, dag.Build{Name: "amazon-ebs", Type: "amazon-ebs"}, unprovisioned)
	return g
}

func BenchmarkAccounts(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				accountsGraph(n)
			}
		})
	}
}
