package compile

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
)

// text returns v as a text, which is final unless the option is late.
func (d *decoder) text(v template.Value, path string, o option) (dag.Text, bool) {
	switch v.Kind() {
	case template.Number, template.Bool:
	default:
		if !d.is(v, path, template.String) {
			return "", false
		}
	}
	text, err := v.Text()
	for _, f := range interp.AsFaults(err) {
		d.err(v.Pos, f.Hint, path, "%s", f.Text)
	}
	if err != nil {
		return "", false
	}
	if v.IsKnown() && v.IsMarked() {
		return d.sealed(v, text, path), true
	}
	if v.Form == nil && !text.Known() {
		d.err(v.Pos, "", path, "the private characters U+E000 to U+E005 are not allowed in a template")
		return "", false
	}
	if text.Final() {
		return text, true
	}
	if !o.late && !o.results {
		if text = d.first(text, v.Pos, path); text.Final() {
			return text, !d.wrong[path] || d.foresee
		}
	}
	ok := o.late || len(text.Words()) > 0
	if !ok {
		d.err(v.Pos, "", path, "%s is known only at build time, too late for this", text)
	}
	told := map[string]bool{}
	for _, word := range text.Words() {
		if told[word] {
			continue
		}
		told[word] = true
		if r, isResult := template.ResultOf(word); isResult {
			d.needs = append(d.needs, needed{r, v.Pos, false})
			continue
		}
		waits, _ := interp.Waits(word) // it was parsed before
		for _, w := range waits {
			if !o.late {
				d.err(v.Pos, "", path, "%s is known only at build time, too late for this", w)
				ok = false
			} else if hint, known := o.knows(w); !known {
				d.err(v.Pos, hint, path, "%s means nothing here", w)
				ok = false
			}
		}
	}
	return text, ok
}

// first puts what other builds have made into a text that must be final. What is not made yet makes the build wait for it.
func (d *decoder) first(text dag.Text, at template.Pos, path string) dag.Text {
	return text.Bind(func(word string) dag.Text {
		r, ok := template.ResultOf(word)
		if !ok {
			return dag.Word(word)
		}
		d.needs = append(d.needs, needed{r, at, true})
		made, known := d.made[r.Build]
		if !known {
			d.waiting = true
			d.mark(path)
			return dag.Text(knownAfter(r.Build)) // which nobody sees but who foresees
		}
		return dag.Text(made[r.Field])
	})
}

// sealed is the secret that v is. If v was only made of one, it becomes a secret of its own.
func (d *decoder) sealed(v template.Value, text dag.Text, path string) dag.Text {
	if text == "" {
		return ""
	}
	_, marks := v.Unmark()
	for m := range marks {
		if name, ok := m.(template.Secret); ok && d.Secrets[string(name)] == string(text) {
			return dag.Text(dag.Mark(string(name)))
		}
	}
	return d.seal(string(text), path)
}

// seal makes a secret of a text, which gets its name from where it stands.
func (d *decoder) seal(text, path string) dag.Text {
	name := path
	if d.Path != "" {
		name = d.Path + "." + path
	}
	d.Secrets[name] = text
	return dag.Text(dag.Mark(name))
}

// secret seals what the user wrote. A text that waits for something is left as it is, since it is not final.
func (d *decoder) secret(v template.Value, text dag.Text, into reflect.Value, path string) {
	if text != "" && !oneMarker(string(text)) && text.Final() {
		real, err := interp.Reveal(string(text), func(name string) (string, error) {
			if v, ok := d.Secrets[name]; ok {
				return v, nil
			}
			return "", fmt.Errorf("there is no secret called %s", name)
		})
		if err != nil {
			d.err(v.Pos, "", path, "%v", err)
			return
		}
		text = d.seal(real, path)
	}
	into.SetString(string(text))
}

// oneMarker says whether text is a marker and nothing else.
func oneMarker(text string) bool {
	inner, open := strings.CutPrefix(text, interp.MarkOpen)
	inner, closed := strings.CutSuffix(inner, interp.MarkClose)
	return open && closed && !strings.ContainsAny(inner, interp.MarkOpen+interp.MarkClose)
}

// word returns v as a final text that is not sensitive.
func (d *decoder) word(v template.Value, path string) (string, bool) {
	t, ok := d.text(v, path, option{})
	if ok && v.IsMarked() {
		d.err(v.Pos, "", path, "a sensitive variable can only stand in a text")
		return "", false
	}
	return strings.TrimSpace(string(t)), ok
}

func (d *decoder) boolean(v template.Value, into reflect.Value, path string, o option) {
	kind := v.Kind()
	if kind != template.Bool && kind != template.Number && kind != template.String {
		d.is(v, path, template.Bool)
		return
	}
	text, ok := d.word(v, path)
	if !ok {
		return
	}
	if kind == template.Number {
		n, err := strconv.ParseFloat(text, 64)
		into.SetBool(err == nil && n != 0)
		return
	}
	if text == "" {
		text = "false"
	}
	b, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		d.err(v.Pos, "", path, "true or false is expected, not %s", quoted(v, text))
		return
	}
	into.SetBool(b)
}

func (d *decoder) number(v template.Value, into reflect.Value, path string, o option) {
	if k := v.Kind(); k != template.Number && k != template.String {
		d.is(v, path, template.Number)
		return
	}
	text, ok := d.word(v, path)
	if !ok {
		return
	}
	if text == "" {
		text = "0"
	}
	switch {
	case into.CanFloat():
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || into.OverflowFloat(n) {
			d.err(v.Pos, "", path, "a number is expected, not %s", quoted(v, text))
			return
		}
		into.SetFloat(n)
		return
	case into.CanInt():
		if n, err := strconv.ParseInt(whole(text), 10, 64); err == nil && !into.OverflowInt(n) {
			into.SetInt(n)
			return
		}
	case into.CanUint():
		if n, err := strconv.ParseUint(whole(text), 10, 64); err == nil && !into.OverflowUint(n) {
			into.SetUint(n)
			return
		}
	}
	d.err(v.Pos, "", path, "a whole number is expected, not %s", quoted(v, text))
}

// quoted is the text of a value for a message.
func quoted(v template.Value, text string) string {
	if v.Secret() {
		return "this text"
	}
	return strconv.Quote(text)
}

// whole takes a fraction of zeros off a number, which some tools write.
func whole(text string) string {
	if n, fraction, ok := strings.Cut(text, "."); ok && n != "" && strings.Trim(fraction, "0") == "" {
		return n
	}
	return text
}

func (d *decoder) duration(v template.Value, into reflect.Value, path string) {
	if v.Kind() == template.Number {
		n, _ := v.Text()
		d.err(v.Pos, fmt.Sprintf(`write "%ss" for seconds or "%sm" for minutes`, n, n), path, "a duration needs a unit")
		return
	}
	if !d.is(v, path, template.String) {
		return
	}
	text, ok := d.word(v, path)
	if !ok || text == "" {
		return
	}
	t, err := time.ParseDuration(text)
	if err != nil {
		d.err(v.Pos, `write it as "90s", "5m" or "1h30m"`, path, "%s is not a duration", quoted(v, text))
		return
	}
	into.SetInt(int64(t))
}
