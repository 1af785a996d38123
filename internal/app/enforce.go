package app

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/hcl"
)

// enforce adds to every build what the templates say that are enforced. These know nothing of the template
// and its variables, and it can do nothing about them.
func (r *Request) enforce(ev *template.Config, in template.Inputs, env Env) (errs template.Errors, err error) {
	if r.handed == nil { // else what is enforced was handed on, too
		r.enforcing(env, filepath.SplitList(env.Get("IMGFLOW_ENFORCE")))
		if v := env.Get("IMGFLOW_SCAN_IMAGE"); v != "" && v != "0" {
			r.ScanImage = true
		}
	}
	for _, path := range r.Enforce {
		src, err := r.input(path)
		if err != nil {
			return nil, usagef("cannot read what is enforced: %w", err)
		}
		t, more := parseEnforced(template.VarFile{Name: env.Short(path), Src: src})
		errs = append(errs, more...)
		if len(more) > 0 {
			continue
		}
		of := template.Inputs{Environ: in.Environ, Clock: in.Clock, UUID: in.UUID, Dir: filepath.Dir(path), Cwd: in.Cwd, Strict: in.Strict}
		for i := range ev.Builds {
			of.Enforced = &ev.Builds[i]
			add, more := t.Evaluate(of)
			if more = append(more, unenforceable(add, env.Short(path))...); len(more) > 0 {
				errs = append(errs, more...)
				break // they are the same for the next build
			}
			for _, b := range add.Builds {
				for _, p := range b.Provisioners {
					p.Enforced = true
					ev.Builds[i].Provisioners = append(ev.Builds[i].Provisioners, p)
				}
				for _, x := range b.Tests {
					x.Name = strings.TrimSuffix("enforced-"+x.Name, "-")
					ev.Builds[i].Tests = append(ev.Builds[i].Tests, x)
				}
			}
			if i == 0 {
				ev.Warnings = append(ev.Warnings, add.Warnings...)
			}
		}
	}
	return errs, nil
}

// enforcing adds files to those that are enforced. None is ever taken away: a resume without the setting goes on as
// the run began.
func (r *Request) enforcing(env Env, files []string) {
	for _, f := range files {
		if f = env.Abs(f); !slices.Contains(r.Enforce, f) {
			r.Enforce = append(r.Enforce, f)
		}
	}
}

func parseEnforced(f template.VarFile) (template.Parsed, template.Errors) {
	if namedHCL(f.Name) {
		t, errs := hcl.Parse([]template.VarFile{f})
		return t, errs
	}
	t, errs := template.Parse(f.Name, f.Src)
	return t, errs
}

// unenforceable are the parts that nobody can add to the build of another.
func unenforceable(c *template.Config, file string) (errs template.Errors) {
	const what = "cannot enforce: only provisioners and tests are added to a build"
	for name := range c.Secrets {
		errs.Add(template.Pos{File: file}, "let the machine have it in another way, such as an instance profile", "cannot enforce: %s is a secret, and only the template of a run has secrets", name)
		break
	}
	for _, d := range c.Data {
		errs.Add(d.Pos, "", what+", no data source")
	}
	for _, b := range c.Builds {
		if b.ErrorCleanup != nil {
			errs.Add(b.ErrorCleanup.Pos, "", what+", no error-cleanup-provisioner")
		}
		for _, s := range b.PostProcessors {
			errs.Add(s[0].Pos, "", what+", no post-processor")
		}
	}
	return errs
}
