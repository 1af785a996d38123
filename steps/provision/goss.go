package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Goss tests the machine by Goss, which it loads there, and brings back what was tested.
type Goss struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`

	// Local files and directories of tests.
	Tests []string `json:"tests,omitempty" option:"required"`
	// The system of the machine: `Linux` or `Windows`. Default: `Windows` over WinRM, otherwise `Linux`.
	TargetOS string `json:"target_os,omitempty"`
	// The version of Goss. Default: `0.4.7`.
	Version string `json:"version,omitempty"`
	// The machine's architecture, as Goss names it. Default: `amd64`.
	Arch string `json:"arch,omitempty"`
	// Where Goss is loaded from. Default: its releases on GitHub.
	URL dag.Text `json:"url,omitempty" option:"late=build"`
	// Who loads it. Default: nobody in particular.
	Username dag.Text `json:"username,omitempty" option:"late=build"`
	// The password of `username`. Default: none.
	Password dag.Secret `json:"password,omitempty" option:"late=build"`
	// Loads it from whoever answers, whatever the certificate. Default: `false`.
	SkipSSL bool `json:"skip_ssl,omitempty"`
	// Where Goss lies on the machine. Default: in /tmp, by its version, system and architecture.
	DownloadPath dag.Text `json:"download_path,omitempty" option:"late=build"`
	// Leaves it to the image that Goss lies at `download_path`. Default: `false`.
	SkipInstall bool `json:"skip_install,omitempty"`
	// Runs the tests by sudo. Default: `false`.
	UseSudo bool `json:"use_sudo,omitempty"`
	// Takes it well when a test fails. Default: `false`.
	Inspect bool `json:"inspect,omitempty"`
	// The file of tests on the machine, from `remote_path`. Default: `goss.yaml`.
	GossFile dag.Text `json:"goss_file,omitempty" option:"late=build"`
	// A local file of variables for the tests. Default: none.
	VarsFile steps.File `json:"vars_file,omitzero"`
	// Variables for the tests, stronger than `vars_file`. Default: none.
	VarsInline map[string]dag.Text `json:"vars_inline,omitempty" option:"late=build"`
	// Environment variables of Goss. Default: none.
	VarsEnv map[string]dag.Text `json:"vars_env,omitempty" option:"late=build"`
	// For how long to try tests again that fail. Default: `0s`.
	RetryTimeout time.Duration `json:"retry_timeout,omitempty"`
	// How long to wait between two tries. Default: `1s`.
	Sleep *time.Duration `json:"sleep,omitempty"`
	// How results are shown, such as `json`, `junit` or `tap`. Default: `rspecish`.
	Format string `json:"format,omitempty"`
	// How the format is shown: `perfdata`, `verbose` or `pretty`. Default: Goss's own.
	FormatOptions string `json:"format_options,omitempty"`
	// A file on the machine for the results, which is brought to the working directory. Default: none.
	OutputFile dag.Text `json:"output_file,omitempty" option:"late=build"`
	// The directory on the machine to make `remote_path` in. Default: `/tmp`.
	RemoteFolder dag.Text `json:"remote_folder,omitempty" option:"late=build"`
	// The directory on the machine for the tests. Default: goss in `remote_folder`.
	RemotePath dag.Text `json:"remote_path,omitempty" option:"late=build"`
	// Does not bring goss-spec.yaml and debug-goss-spec.yaml, which hold what was tested, to the working directory.
	// Default: `false`.
	SkipDownload bool `json:"skip_download,omitempty"`

	Uploads []steps.File `json:"uploads,omitempty" option:"-"` // what Tests are
}

func (Goss) Kind() string { return "provision.goss" }

// Title says what is done.
func (Goss) Title() string { return "test the machine by Goss" }

var (
	gossFormats       = []string{"documentation", "json", "json_oneline", "junit", "nagios", "nagios_verbose", "rspecish", "silent", "tap"}
	gossFormatOptions = []string{"perfdata", "verbose", "pretty"}
	gossWord          = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._+-]*$`)
)

// ResolveFiles finds the tests.
func (s *Goss) ResolveFiles(look func(path string) (steps.File, error)) []steps.OptionError {
	var f steps.OptionErrors
	for i := range s.Tests {
		var test steps.File
		if locate(&f, look, fmt.Sprintf("tests[%d]", i), &s.Tests[i], &test); test == (steps.File{}) && s.Tests[i] == "" {
			f.Add(fmt.Sprintf("tests[%d]", i), "it is empty")
		}
		s.Uploads = append(s.Uploads, test)
	}
	s.Tests = nil
	return f
}

// Check says what is wrong with the options.
func (s *Goss) Check() []steps.OptionError {
	var f steps.OptionErrors
	known := func(option, value string, values []string) {
		if value != "" && !slices.Contains(values, value) {
			f.Add(option, "%q is not known: it is one of %s", value, strings.Join(values, ", "))
		}
	}
	known("target_os", s.TargetOS, []string{"Linux", "Windows"})
	known("format", s.Format, gossFormats)
	known("format_options", s.FormatOptions, gossFormatOptions)
	word := func(option, value string) {
		if value != "" && !gossWord.MatchString(value) {
			f.Add(option, "%q is part of the name of no file of Goss", value)
		}
	}
	word("version", s.Version)
	word("arch", s.Arch)
	if s.URL.Known() && s.URL != "" {
		if u, err := url.Parse(string(s.URL)); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			f.Add("url", "it is no address of http or https")
		}
	}
	if s.Password != "" && s.Username == "" {
		f.Add("username", "it must be given when password is")
	}
	if s.SkipInstall && s.URL != "" {
		f.Idle("url", "skip_install is set")
	}
	if s.VarsFile != (steps.File{}) {
		for _, name := range sortedKeys(s.VarsInline) {
			if len(s.VarsInline[name].Secrets()) > 0 {
				f.Add("vars_inline."+name, "beside vars_file it stands in a command line, where a sensitive value is seen: hand it over by vars_env")
			}
		}
	}
	for _, name := range sortedKeys(s.VarsEnv) {
		if !identifier.MatchString(name) {
			f.Add("vars_env."+name, "the name of an environment variable has letters, digits and _")
		}
	}
	notNegative(&f, "retry_timeout", s.RetryTimeout)
	if s.Sleep != nil {
		notNegative(&f, "sleep", *s.Sleep)
	}
	return f
}

// Communicators are those that reach such a machine.
func (s *Goss) Communicators() []string {
	return Guest{map[string]string{"Linux": "unix", "Windows": "windows"}[s.TargetOS]}.Communicators()
}

// LocalFiles are what it brings from the machine, under names of its own.
func (Goss) LocalFiles() comm.LocalFiles { return comm.LocalFiles{Any: true} }

// Add adds the step to the graph.
func (s *Goss) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On = on.Take()
	return dag.Add(g, b, name, step)
}

// Do tests the machine.
func (s Goss) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	return withTool(ctx, e, t, s.On.Value(), s.Common, s.run)
}

func (s Goss) run(ctx context.Context, w *tool) error {
	texts := map[string]string{}
	var err error
	for option, text := range map[string]dag.Text{"url": s.URL, "username": s.Username, "password": dag.Text(s.Password), "download_path": s.DownloadPath,
		"goss_file": s.GossFile, "remote_folder": s.RemoteFolder, "remote_path": s.RemotePath, "output_file": s.OutputFile} {
		if texts[option], err = w.v.render(option, text, nil); err != nil {
			return err
		}
	}
	inline, env := map[string]string{}, map[string]string{}
	for name, text := range s.VarsInline {
		if inline[name], err = w.v.render("vars_inline."+name, text, nil); err != nil {
			return err
		}
	}
	for name, text := range s.VarsEnv {
		if env[name], err = w.v.render("vars_env."+name, text, nil); err != nil {
			return err
		}
	}
	orElse := func(option, otherwise string) string {
		if texts[option] == "" {
			texts[option] = otherwise
		}
		return texts[option]
	}
	dir := orElse("remote_path", orElse("remote_folder", "/tmp")+"/goss")
	goss, from := s.program(w.windows(), env["GOSS_USE_ALPHA"] == "1")
	goss, from = orElse("download_path", goss), orElse("url", from)

	g := gossRun{tool: w, dir: dir, env: env, program: w.quoted(goss), sudo: s.UseSudo && !w.windows()}
	var files []staged
	for _, test := range s.Uploads {
		files = append(files, staged{to: dir + "/" + filepath.Base(test.Path), file: test})
	}
	if texts["goss_file"] != "" {
		g.flags = append(g.flags, "--gossfile", w.quoted(texts["goss_file"]))
	}
	if s.VarsFile != (steps.File{}) {
		to := dir + "/" + filepath.Base(s.VarsFile.Path)
		files, g.flags = append(files, staged{to: to, file: s.VarsFile}), append(g.flags, "--vars", w.quoted(to))
	}
	if len(inline) > 0 {
		vars, err := json.Marshal(inline)
		switch {
		case err != nil:
			return err
		case s.VarsFile == (steps.File{}): // a file of the same meaning, which is in no list of processes
			to := dir + "/.vars-inline.json"
			files, g.flags = append(files, staged{to: to, text: string(vars), private: true}), append(g.flags, "--vars", w.quoted(to))
		case w.windows():
			g.flags = append(g.flags, "--vars-inline", `"`+strings.ReplaceAll(string(vars), `"`, `\"`)+`"`)
		default:
			g.flags = append(g.flags, "--vars-inline", quote.Sh(string(vars)))
		}
	}
	load := gossLoad{from: from, to: goss, insecure: s.SkipSSL}
	if user := texts["username"]; user != "" && !s.SkipInstall {
		if strings.ContainsAny(user+texts["password"], "\r\n") {
			return fmt.Errorf("cannot load Goss: username and password must be one line each")
		}
		load.curl, load.wget = dir+"/.curlrc", dir+"/.wgetrc"
		files = append(files, staged{to: load.curl, text: "user = " + curlString(user+":"+texts["password"]) + "\n", private: true},
			staged{to: load.wget, text: "user = " + user + "\npassword = " + texts["password"] + "\n", private: true})
	}
	if err := w.stage(ctx, dir, files); err != nil {
		return err
	}
	if !s.SkipInstall {
		w.v.t.Say("loading Goss from %s", from)
		if err := w.must(ctx, "loading Goss", load.command(w), nil); err != nil {
			return err
		}
	}
	return s.test(ctx, g, texts["output_file"])
}

// program is where Goss lies, and where it comes from, when nobody says so.
func (s Goss) program(windows, alpha bool) (path, from string) {
	version, arch, system, ext := s.Version, s.Arch, "linux", ""
	if version == "" {
		version = "0.4.7"
	}
	if arch == "" {
		arch = "amd64"
	}
	if windows {
		system, ext = "windows", ".exe"
	}
	name := "goss-" + system + "-" + arch + ext
	if alpha {
		name = "goss-alpha-" + system + "-" + arch + ext
	}
	return "/tmp/goss-" + version + "-" + system + "-" + arch + ext, "https://github.com/goss-org/goss/releases/download/v" + version + "/" + name
}

// gossLoad is how Goss gets onto the machine: by curl, or by wget where there is no curl.
type gossLoad struct {
	from, to   string
	insecure   bool
	curl, wget string // their configurations, which hold who asks; "": nobody in particular
}

func (l gossLoad) command(w *tool) string {
	part := l.to + ".part"
	curl := []string{"curl", "-fsSL"}
	wget := []string{"wget", "-q"}
	if l.insecure {
		curl, wget = append(curl, "-k"), append(wget, "--no-check-certificate")
	}
	if l.curl != "" {
		curl, wget = append(curl, "-K", w.quoted(l.curl)), append(wget, "--config="+w.quoted(l.wget))
	}
	curl, wget = append(curl, "-o", w.quoted(part), w.quoted(l.from)), append(wget, "-O", w.quoted(part), w.quoted(l.from))
	if w.windows() {
		back := func(path string) string { return w.quoted(strings.ReplaceAll(path, "/", `\`)) }
		return line(curl...) + " && move /y " + back(part) + " " + back(l.to) + " && " + w.quoted(l.to) + " --version"
	}
	return "{ " + line(curl...) + " || " + line(wget...) + "; } &&\nchmod 555 " + w.quoted(part) + " && mv -f " + w.quoted(part) + " " + w.quoted(l.to) + " && " + w.quoted(l.to) + " --version"
}

// curlString is a text as a configuration of curl has it.
func curlString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// gossRun is Goss with its tests.
type gossRun struct {
	*tool
	dir     string
	env     map[string]string
	program string
	flags   []string
	sudo    bool
}

// command is one in the directory of the tests; to is a file for what it prints.
func (g gossRun) command(sudo bool, to string, words ...string) string {
	cd, become := "cd "+g.quoted(g.dir), ""
	switch {
	case g.windows():
		cd = "cd /d " + g.quoted(g.dir)
	case sudo && len(g.env) > 0:
		become = "sudo -E"
	case sudo:
		become = "sudo"
	}
	if to != "" {
		words = append(words, ">", g.quoted(to))
	}
	return line(slices.Concat([]string{cd, "&&", become, g.program}, g.flags, words)...)
}

// The specifications, which Goss has made of all files of tests.
var gossSpecs = []struct{ what, name, flag string }{
	{"what is tested", "goss-spec.yaml", ""},
	{"what is tested, step by step", "debug-goss-spec.yaml", "-d"},
}

func (s Goss) test(ctx context.Context, g gossRun, output string) error {
	fails := func(what string, code int, err error) error {
		if err == nil && code != 0 && s.Inspect {
			g.v.t.Warn("%s %s: inspect lets it", what, ending(comm.Exit{Code: code}))
			return nil
		}
		return well(what, code, err)
	}
	if !s.SkipDownload {
		for _, spec := range gossSpecs {
			path := g.temp() + "/" + spec.name
			code, err := g.run(ctx, "goss render", g.command(false, path, "render", spec.flag), g.env)
			if err := fails("goss render", code, err); err != nil {
				return err
			}
			if code == 0 {
				if err := g.fetch(ctx, path); err != nil {
					return err
				}
			}
		}
	}
	pause := time.Second
	if s.Sleep != nil {
		pause = *s.Sleep
	}
	words := []string{"validate", "--retry-timeout", s.RetryTimeout.String(), "--sleep", pause.String()}
	if s.Format != "" {
		words = append(words, "-f", s.Format)
	}
	if s.FormatOptions != "" {
		words = append(words, "-o", s.FormatOptions)
	}
	command := g.command(g.sudo, output, words...)
	if output != "" && !g.windows() {
		command += "; s=$?; cat " + g.quoted(output) + "; exit $s"
	}
	g.v.t.Say("testing the machine")
	code, err := g.run(ctx, "goss validate", command, g.env)
	if output != "" && err == nil {
		if err := g.fetch(ctx, output); err != nil {
			return err
		}
	}
	return fails("goss validate", code, err)
}

// fetch brings a file from the machine to the working directory.
func (g gossRun) fetch(ctx context.Context, path string) error {
	dir := g.v.dir
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot download %s: %w", path, err)
	}
	defer root.Close()
	name := pathsOf(g.v.m).base(path)
	if !filepath.IsLocal(name) || name == "." {
		return fmt.Errorf("cannot download %s: %q is no name of a file here", path, name)
	}
	g.v.t.Say("downloading %s => %s", path, name)
	return download(ctx, g.r, path, root, name)
}
