package aws

import (
	"fmt"
	"maps"
	"slices"

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

// late evaluates one text of the template that had to wait for the source image.
func (s SourceImage) late(option, text string) (string, error) {
	data := map[string]any{"SourceAMITags": s.Tags}
	for k, v := range s.vars() {
		data[k] = v
	}
	out, err := interp.Late(text, data, func(name string) (string, error) {
		if v, ok := s.vars()[name]; ok {
			return v, nil
		}
		return "", fmt.Errorf("the build value %s is not known here", name)
	})
	if err != nil {
		return "", fmt.Errorf("cannot evaluate %s: %w", option, err)
	}
	return out, nil
}

// lateTags evaluates keys and values of tags. Keys that become one are an error:
// nobody can say whose value it has.
func (s SourceImage) lateTags(option string, tags map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		key, err := s.late(option, k)
		if err != nil {
			return nil, err
		}
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("cannot use %s: two of its keys are %s", option, shown(key))
		}
		if out[key], err = s.late(option, tags[k]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// over is the base with other tags that win.
func over(base, winning map[string]string) map[string]string {
	m := maps.Clone(base)
	if m == nil {
		m = map[string]string{}
	}
	maps.Copy(m, winning)
	return m
}
