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

// needed are the tags by which what was made is found again. TagBuild and TagStep
// only tell, and go where there is room.
const needed = 3

// tags are those of this making with as many of the user's own as EC2 has room for.
func (c *Cloud) tags(t *dag.Task, own map[string]string) map[string]string {
	m := map[string]string{TagRun: t.Run, TagToken: t.Token, TagExpires: c.expires(time.Now().Add(-t.Age()))}
	keys := slices.Sorted(maps.Keys(own))
	for _, k := range keys[:min(len(keys), maxTags-needed)] {
		m[k] = own[k]
	}
	for _, extra := range [][2]string{{TagBuild, strings.Join(t.Builds, ",")}, {TagStep, t.Name}} {
		if len(m) < maxTags {
			m[extra[0]] = clipTag(extra[1])
		}
	}
	return m
}

// leftOut are the user's tags for which there is no room beside those needed.
func leftOut(own map[string]string) []string {
	keys := slices.Sorted(maps.Keys(own))
	return keys[min(len(keys), maxTags-needed):]
}

// exceedsTagLimit reports whether the user's tags leave no room for all of ours, which are
// six while a result is being marked.
func exceedsTagLimit(own map[dag.Text]dag.Text) bool { return len(own)+needed+3 > maxTags }

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

// markFinished marks images and snapshots as results. They have no lease from then on,
// and its tag says so in words: to delete it would be another call. The time has whole minutes,
// so that what is finished together is marked by one call.
func (s *site) markFinished(ctx context.Context, ids ...string) error {
	m := map[string]string{TagArtifact: time.Now().UTC().Truncate(time.Minute).Format(time.RFC3339), TagExpires: "never"}
	return s.setTags(ctx, m, ids...)
}

// markFinishedAtTagLimit marks results whose tags exceed the limit: those of the user's that had no
// room at the making take the place of ours. What is left of ours tells most first.
// It may be repeated. Beside an error stands the call that failed.
func (s *site) markFinishedAtTagLimit(ctx context.Context, own map[string]string, ids ...string) (call string, err error) {
	ours := []string{TagArtifact, TagRun, TagToken, TagBuild, TagStep, TagExpires}
	keep := min(max(maxTags-len(own), 0), len(ours)-1)
	var drop []types.Tag
	for _, k := range ours[keep:] {
		drop = append(drop, types.Tag{Key: ptr(k)})
	}
	if _, err := s.api.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: ids, Tags: drop}); err != nil {
		return "DeleteTags", err
	}
	m := maps.Clone(own)
	if keep > 0 {
		m[TagArtifact] = time.Now().UTC().Format(time.RFC3339)
	}
	return "CreateTags", s.setTags(ctx, m, ids...)
}
