package ci

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/internal/termsafe"
	"github.com/imgflow/imgflow/template"
)

// The words of each server, with what it takes for special escaped.
var (
	githubText = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProp = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	azureText  = strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A")
	azureProp  = strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A", ";", "%3B", "]", "%5D")
	teamcity   = strings.NewReplacer("|", "||", "'", "|'", "\n", "|n", "\r", "|r", "[", "|[", "]", "|]", "\u0085", "|x", "\u2028", "|l", "\u2029", "|p")
)

func (j *Job) say(format string, a ...any) { fmt.Fprintf(j.w, format+"\n", a...) }

// oneLine is a title without what could end it.
func oneLine(s string) string {
	return strings.Join(strings.Fields(clean(s)), " ")
}

// clean takes out of a text what could drive a terminal; its lines stay.
func clean(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = termsafe.Clean(l, false)
	}
	return strings.Join(lines, "\n")
}

func (j *Job) group(title string) {
	if !j.alone || title == j.open {
		return
	}
	j.endGroup()
	j.open = title
	title = oneLine(title)
	switch j.kind {
	case "github":
		j.say("::group::%s", githubText.Replace(title))
	case "azure":
		j.say("##[group]%s", azureText.Replace(title))
	case "teamcity":
		j.say("##teamcity[blockOpened name='%s']", teamcity.Replace(title))
	case "gitlab":
		j.say("\x1b[0Ksection_start:%d:%s[collapsed=true]\r\x1b[0K%s", j.now().Unix(), sectionName(j.open), title)
	}
}

func (j *Job) endGroup() {
	if j.open == "" {
		return
	}
	switch j.kind {
	case "github":
		j.say("::endgroup::")
	case "azure":
		j.say("##[endgroup]")
	case "teamcity":
		j.say("##teamcity[blockClosed name='%s']", teamcity.Replace(oneLine(j.open)))
	case "gitlab":
		j.say("\x1b[0Ksection_end:%d:%s\r\x1b[0K", j.now().Unix(), sectionName(j.open))
	}
	j.open = ""
}

// sectionName is a title as the name of a section, which has letters, digits, _, . and -.
func sectionName(title string) string {
	name := strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return r
		}
		return '_'
	}, title)
	return "imgflow_" + name[:min(len(name), 80)]
}

// issue marks something as an error or a warning, at a place if there is one.
func (j *Job) issue(level string, at template.Pos, text, code string) {
	text = clean(text)
	file := filepath.ToSlash(at.File)
	switch j.kind {
	case "github":
		props := ""
		if at.Line > 0 {
			props = fmt.Sprintf(" file=%s,line=%d,col=%d", githubProp.Replace(file), at.Line, at.Column)
		}
		j.say("::%s%s::%s", level, props, githubText.Replace(text))
	case "azure":
		props := "type=" + level
		if at.Line > 0 {
			props += fmt.Sprintf(";sourcepath=%s;linenumber=%d;columnnumber=%d", azureProp.Replace(file), at.Line, at.Column)
		}
		if code != "" {
			props += ";code=" + code
		}
		j.say("##vso[task.logissue %s]%s", props, azureText.Replace(text))
	case "teamcity":
		if at.Line > 0 {
			text = at.String() + ": " + text
		}
		if level == "error" {
			j.say("##teamcity[buildProblem description='%s']", teamcity.Replace(cut(text, 4000)))
			return
		}
		j.say("##teamcity[message text='%s' status='WARNING']", teamcity.Replace(text))
	}
}

// cut shortens a text to n bytes at most.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// OutputName is a text as the name of an output, which has letters, digits, _ and -.
func OutputName(s string) string { return strings.TrimPrefix(sectionName(s), "imgflow_") }

// Outputs is the environment variable that names the file which [Job.Output] writes, "" for none.
// That of GitLab, which names none, is ours.
func (j *Job) Outputs() string {
	switch {
	case j == nil:
	case j.kind == "github":
		return "GITHUB_OUTPUT"
	case j.kind == "gitlab":
		return "IMGFLOW_DOTENV"
	}
	return ""
}

// Output hands a result on to what follows, in file where the server has one for that; see [Job.Outputs]. Mark ends a
// value in that file; nobody can know it before.
func (j *Job) Output(file io.Writer, mark, name, value string) error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch j.kind {
	case "github":
		if strings.Contains(value, mark) {
			return nil
		}
		_, err := fmt.Fprintf(file, "%s<<%s\n%s\n%[2]s\n", name, mark, value)
		return err
	case "gitlab":
		if strings.ContainsAny(value, "\r\n") {
			return nil // it has no way to write that
		}
		_, err := fmt.Fprintf(file, "IMGFLOW_%s=%s\n", strings.ToUpper(strings.ReplaceAll(name, "-", "_")), value)
		return err
	case "azure":
		j.say("##vso[task.setvariable variable=%s;isOutput=true]%s", azureProp.Replace(strings.ReplaceAll(name, "-", "_")), azureText.Replace(value))
	case "teamcity":
		j.say("##teamcity[setParameter name='%s' value='%s']", teamcity.Replace("imgflow."+name), teamcity.Replace(value))
	}
	return nil
}

// Attach has the server show the file of a summary, where that takes a command.
func (j *Job) Attach(path string) {
	if j != nil && j.kind == "azure" {
		j.say("##vso[task.uploadsummary]%s", azureText.Replace(path))
	}
}
