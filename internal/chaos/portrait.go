package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// portrait is all that calls tell of what an embedded EC2 holds in some regions, as JSON in which
// what differs from one build to the next has a name in its place: ids, times, tokens. What no image is
// made of stands under "besides".
func (e *endpoint) portrait(ctx context.Context, regions, accounts []string) (string, error) {
	inv, err := e.atRest()
	if err != nil {
		return "", err
	}
	p := painter{e, map[string]string{}}
	all := map[string]any{"besides": besides(inv)}
	for _, r := range regions {
		images, err := p.images(ctx, r)
		if err != nil {
			return "", err
		}
		if len(images) > 0 {
			all[r] = images
		}
		for _, a := range accounts {
			kept, err := p.parameters(inv, r, a)
			if err != nil {
				return "", err
			}
			if len(kept) > 0 {
				all[strings.TrimSpace("parameters in "+r+" "+a)] = kept
			}
		}
	}
	text, err := json.MarshalIndent(all, "", "  ")
	return p.named(string(text)) + "\n", err
}

// besides are the things that are neither images nor what a portrait tells with them: it counts
// what has ended as not there.
func besides(inv inventory) []string {
	left := []string{}
	for _, t := range inv {
		switch {
		case slices.Contains([]string{"image", "snapshot", "parameter", "kms-key"}, t.Kind), t.Kind == "instance" && t.State == "terminated":
		default:
			left = append(left, t.Kind+" "+t.State)
		}
	}
	return left
}

// painter tells what there is.
type painter struct {
	*endpoint
	names map[string]string // of ids
}

// images are those of a region, each with its permissions and its snapshots. A snapshot of no image
// follows them.
func (p painter) images(ctx context.Context, region string) (told []any, err error) {
	c := p.client(region)
	found, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDeprecated: awssdk.Bool(true)})
	if err != nil {
		return nil, err
	}
	snapshots, err := p.snapshots(ctx, c, region)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found.Images, func(a, b types.Image) int { return cmp.Compare(*a.Name, *b.Name) })
	for n, i := range found.Images {
		p.names[*i.ImageId] = strings.TrimSpace(fmt.Sprintf("IMAGE-%s %s", region, strings.Repeat("+", n)))
		a, err := c.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: i.ImageId, Attribute: types.ImageAttributeNameLaunchPermission})
		if err != nil {
			return nil, err
		}
		var made []any
		for _, d := range i.BlockDeviceMappings {
			if d.Ebs != nil && d.Ebs.SnapshotId != nil {
				made = append(made, snapshots[*d.Ebs.SnapshotId])
				delete(snapshots, *d.Ebs.SnapshotId)
			}
		}
		told = append(told, map[string]any{"image": plain(i), "launched by": plain(a.LaunchPermissions), "snapshots": made})
	}
	for _, id := range slices.Sorted(maps.Keys(snapshots)) {
		told = append(told, map[string]any{"a snapshot of nothing": snapshots[id]})
	}
	return told, p.keys(region)
}

func (p painter) snapshots(ctx context.Context, c *ec2.Client, region string) (map[string]any, error) {
	found, err := c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if err != nil {
		return nil, err
	}
	told := map[string]any{}
	for _, s := range found.Snapshots {
		a, err := c.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{SnapshotId: s.SnapshotId, Attribute: types.SnapshotAttributeNameCreateVolumePermission})
		if err != nil {
			return nil, err
		}
		told[*s.SnapshotId] = map[string]any{"snapshot": plain(s), "read by": plain(a.CreateVolumePermissions)}
	}
	return told, nil
}

// keys learns what the keys of a region are called.
func (p painter) keys(region string) error {
	var out struct {
		Aliases []struct{ AliasName, TargetKeyId string }
	}
	err := p.json("kms", "TrentService.ListAliases", region, key.AccessKeyID, struct{}{}, &out)
	for _, a := range out.Aliases {
		p.names[a.TargetKeyId] = a.AliasName
	}
	return err
}

// parameters are those of an account in a region, with all values that they had.
func (p painter) parameters(inv inventory, region, account string) (map[string]any, error) {
	told := map[string]any{}
	for _, t := range inv.of("parameter") {
		if t.Region != region || t.Account != account {
			continue
		}
		var out struct{ Parameters []map[string]any }
		if err := p.json("ssm", "AmazonSSM.GetParameterHistory", region, cmp.Or(account, key.AccessKeyID), map[string]string{"Name": t.Name}, &out); err != nil {
			return nil, err
		}
		for _, v := range out.Parameters {
			delete(v, "LastModifiedDate")
			delete(v, "LastModifiedUser")
		}
		told[t.Name] = out.Parameters
	}
	return told, nil
}

// json makes a call of the JSON protocol. An access key that is the number of an account is that account's.
func (e *endpoint) json(service, target, region, id string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, e.url+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target)
	sum, as := sha256.Sum256(body), key
	as.AccessKeyID = id
	if err := v4.NewSigner().SignHTTP(req.Context(), as, req, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s in %s: %s", target, region, reply)
	}
	return json.Unmarshal(reply, out)
}

// plain is a reply without what it does not say, with its lists of tags in order.
func plain(v any) any {
	text, err := json.Marshal(v)
	var out any
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(err) // what was read from a reply always marshals
	}
	return said(out)
}

func said(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			if name == "Tags" {
				tags := map[string]any{}
				for _, t := range list(x) {
					tag := t.(map[string]any)
					tags[fmt.Sprint(tag["Key"])] = tag["Value"]
				}
				v[name] = tags
				continue
			}
			if v[name] = said(x); x == nil || x == "" {
				delete(v, name)
			}
		}
	case []any:
		for i := range v {
			v[i] = said(v[i])
		}
	}
	return v
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// changing are the parts of replies that are another in each build.
var changing = []struct {
	is   *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\b(snap|vol|i|r)-[0-9a-f]{8,17}\b`), "$1-ID"},
	{regexp.MustCompile(`"imgflow:(artifact|build|run|token)": "[^"]*"`), `"imgflow:$1": "OF THE RUN"`},
	{regexp.MustCompile(`production-\d{8}-\d{6}`), "production-TIME"},
	{regexp.MustCompile(`"(CreationDate|StartTime|CompletionTime|LastLaunchedTime)": "[^"]*"`), `"$1": "TIME"`},
}

func (p painter) named(text string) string {
	for _, id := range slices.Sorted(maps.Keys(p.names)) {
		text = strings.ReplaceAll(text, id, p.names[id])
	}
	for _, c := range changing {
		text = c.is.ReplaceAllString(text, c.name)
	}
	return text
}
