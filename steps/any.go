package steps

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/imgflow/imgflow/dag"
)

// Any is an option of whatever shape, as JSON has them. One of its fields is there; none
// of them is an option that was not given.
type Any struct {
	Text *dag.Text      `json:"text,omitempty"`
	Word string         `json:"word,omitempty"` // of JSON: a number, true, false, null, or what is empty: [] and {}
	List []Any          `json:"list,omitempty"`
	Map  map[string]Any `json:"map,omitempty"`
}

// Given reports whether there is a value.
func (a Any) Given() bool { return a.Text != nil || a.Word != "" || a.List != nil || a.Map != nil }

// Object reports whether it is an object.
func (a Any) Object() bool { return a.Map != nil || a.Word == "{}" }

// JSON is the value as encoding/json knows it. Fill says what a text comes to; at is where
// it stands, such as .a[0].
func (a Any) JSON(fill func(at string, text dag.Text) (string, error)) (any, error) {
	return a.json("", fill)
}

func (a Any) json(at string, fill func(at string, text dag.Text) (string, error)) (any, error) {
	switch {
	case a.Text != nil:
		return fill(at, *a.Text)
	case a.Map != nil:
		m := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(a.Map)) {
			v, err := a.Map[name].json(at+"."+name, fill)
			if err != nil {
				return nil, err
			}
			m[name] = v
		}
		return m, nil
	case a.List != nil:
		list := make([]any, len(a.List))
		for i, e := range a.List {
			v, err := e.json(fmt.Sprintf("%s[%d]", at, i), fill)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	case a.Word == "{}": // which others add to
		return map[string]any{}, nil
	case a.Word == "":
		return nil, nil
	}
	return json.RawMessage(a.Word), nil
}
