package aws

import (
	"fmt"
	"maps"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
)

// vars are what a template's late words stand for, for a build from this image.
func (s SourceImage) vars() map[string]string {
	return map[string]string{
		"BuildRegion":           s.Region,
		"SourceAMI":             s.ID,
		"SourceAMIName":         s.Name,
		"SourceAMIOwner":        s.Owner,
		"SourceAMIOwnerName":    s.OwnerName,
		"SourceAMICreationDate": s.CreationDate,
	}
}

// Evaluate says what an action of a template comes to that had to wait for the
// source image.
func (s SourceImage) Evaluate(action string) (string, error) {
	data := map[string]any{"SourceAMITags": s.Tags}
	for k, v := range s.vars() {
		data[k] = v
	}
	return interp.Late(action, data, func(name string) (string, error) {
		if v, ok := s.vars()[name]; ok {
			return v, nil
		}
		return "", fmt.Errorf("the build value %s is not known here", name)
	})
}

// boundText is a text whose words refer to that image.
func boundText(source dag.Out[SourceImage], t dag.Text) dag.Text {
	return t.Bind(func(action string) dag.Text { return dag.Ref(source, action) })
}

// boundTags are tags whose words refer to that image.
func boundTags(source dag.Out[SourceImage], tags map[dag.Text]dag.Text) map[dag.Text]dag.Text {
	all := make(map[dag.Text]dag.Text, len(tags))
	for k, v := range tags {
		all[boundText(source, k)] = boundText(source, v)
	}
	return all
}

// boundTo are the options of a build from that image: their words refer to it.
func (b EBS) boundTo(source dag.Out[SourceImage]) *EBS {
	text := func(t dag.Text) dag.Text { return boundText(source, t) }
	b.AMIDescription = text(b.AMIDescription)
	for _, tags := range []*map[dag.Text]dag.Text{&b.Tags, &b.SnapshotTags, &b.RunTags, &b.RunVolumeTags, &b.SpotTags} {
		*tags = boundTags(source, *tags)
	}
	for _, tags := range []*[]KeyValue{&b.Tag, &b.SnapshotTag, &b.RunTag, &b.SpotTag} {
		*tags = slices.Clone(*tags)
		for i, t := range *tags {
			(*tags)[i] = KeyValue{text(t.Key), text(t.Value)}
		}
	}
	b.Accounts = slices.Clone(b.Accounts)
	for i := range b.Accounts {
		if tags := &b.Accounts[i].Tags; len(*tags) > 0 {
			*tags = boundTags(source, *tags)
		}
	}
	b.RunVolumeTag = slices.Clone(b.RunVolumeTag)
	for i, t := range b.RunVolumeTag {
		b.RunVolumeTag[i] = VolumeTag{text(t.Name), text(t.Key), text(t.Value)}
	}
	return &b
}

// filled is the final form of an option's text.
func filled(t *dag.Task, option string, text dag.Text) (string, error) {
	s, err := t.Fill(text, nil)
	if err != nil {
		return "", fmt.Errorf("cannot evaluate %s: %w", option, err)
	}
	return s, nil
}

// filledTags are the final keys and values of tags. Keys that become one are an
// error: nobody can say whose value it has.
func filledTags(t *dag.Task, option string, tags map[dag.Text]dag.Text) (map[string]string, error) {
	out := make(map[string]string, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		key, err := filled(t, option, k)
		if err != nil {
			return nil, err
		}
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("cannot use %s: two of its keys are %s", option, shown(key))
		}
		if out[key], err = filled(t, option, tags[k]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// mergeTags is the base with other tags that win.
func mergeTags[S ~string](base, winning map[S]S) map[S]S {
	m := maps.Clone(base)
	if m == nil {
		m = map[S]S{}
	}
	maps.Copy(m, winning)
	return m
}
