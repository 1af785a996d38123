package aws

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// Tags on everything that is made here, from its first instant.
const (
	TagRun     = "imgflow:run"     // the run's id
	TagBuild   = "imgflow:build"   // the builds that it is for
	TagStep    = "imgflow:step"    // the step that made it
	TagToken   = "imgflow:token"   // the making; see dag.Task
	TagExpires = "imgflow:expires" // when nobody needs it any more unless this is renewed, RFC 3339
	// TagArtifact marks a finished image and its snapshots, results of a run that no
	// lease bounds, with the time when they were finished, RFC 3339.
	TagArtifact = "imgflow:artifact"
)

// An embedded EC2 that cannot serve a machine at the usual port names another.
const (
	portTag   = "ec2local:ssh-port"
	winrmTag  = "ec2local:winrm-port"
	winrmsTag = "ec2local:winrms-port"
)

// notInTags are the characters that not every AWS service takes in a tag.
var notInTags = regexp.MustCompile(`[^\p{L}\p{Z}\p{N}_.:/=+\-@]`)

// tags are the user's own with those of this making.
func (c *Cloud) tags(t *dag.Task, own map[string]string) map[string]string {
	m := maps.Clone(own)
	if m == nil {
		m = map[string]string{}
	}
	m[TagRun] = t.Run
	m[TagBuild] = clipTag(strings.Join(t.Builds, ","))
	m[TagStep] = clipTag(t.Name)
	m[TagToken] = t.Token
	m[TagExpires] = c.expires(time.Now().Add(-t.Age()))
	return m
}

// expires is the end of a lease that begins at the given time. Whole minutes, so
// that a repeated call says the same.
func (c *Cloud) expires(from time.Time) string {
	return from.Add(c.o.Lease).UTC().Truncate(time.Minute).Add(time.Minute).Format(time.RFC3339)
}

func clipTag(s string) string {
	s = notInTags.ReplaceAllString(s, "-")
	return string([]rune(s)[:min(len([]rune(s)), 200)])
}

// tagged puts the tags on every type of resource that a call makes.
func tagged(m map[string]string, kinds ...types.ResourceType) (specs []types.TagSpecification) {
	for _, k := range kinds {
		specs = append(specs, types.TagSpecification{ResourceType: k, Tags: tagList(m)})
	}
	return specs
}

func tagList(m map[string]string) (tags []types.Tag) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		tags = append(tags, types.Tag{Key: ptr(k), Value: ptr(m[k])})
	}
	return tags
}

func tagMap(tags []types.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[text(t.Key)] = text(t.Value)
	}
	return m
}

func tag(tags []types.Tag, key string) string { return tagMap(tags)[key] }

// byToken is the filter that finds what a task has made.
func byToken(t *dag.Task) types.Filter { return filter("tag:"+TagToken, t.Token) }

// setTags puts tags on things that exist.
func (s *site) setTags(ctx context.Context, m map[string]string, ids ...string) error {
	_, err := s.api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: ids, Tags: tagList(m)})
	return err
}

// finish marks images and snapshots as results. They have no lease from then on;
// where nobody may delete its tag, it says so in words.
func (s *site) finish(ctx context.Context, ids ...string) error {
	m := map[string]string{TagArtifact: time.Now().UTC().Format(time.RFC3339), TagExpires: "never"}
	if err := s.setTags(ctx, m, ids...); err != nil {
		return err
	}
	_, err := s.api.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: ids, Tags: []types.Tag{{Key: ptr(TagExpires)}}})
	if code, _ := apiError(err); lacksPermission(code) {
		return nil
	}
	return err
}
