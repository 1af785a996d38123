package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// builder is one of many, with more options.
func builderOf(i int, more string) string {
	return fmt.Sprintf(`{"type": "amazon-ebs", "name": "build-%d", "region": "{{user |region|}}", "source_ami": "ami-0123456789abcdef0", "instance_type": "t3.micro",
 "ssh_username": "ubuntu", "ami_name": "image-%d-{{user |version|}}", "tags": {"Name": "image {{build_name}}", "Base": "{{ .SourceAMI }}"}%s}`, i, i, more)
}

// list writes n elements with commas between them.
func list(n int, element func(i int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = element(i)
	}
	return strings.Join(parts, ",\n")
}

// shapes are templates that grow with n, each in its own way.
var shapes = map[string]func(n int) (variables, sensitive, builders, provisioners string){
	"builders": func(n int) (string, string, string, string) {
		return "", "", list(n, func(i int) string { return builderOf(i, "") }), `{"type": "shell", "inline": ["echo {{build_name}} {{user |version|}}"]}`
	},
	"faulty builders": func(n int) (string, string, string, string) {
		return "", "", list(n, func(i int) string { return builderOf(i, `, "instnace_type": "x", "ena_support": "perhaps"`) }), ""
	},
	"builders of one name": func(n int) (string, string, string, string) {
		return "", "", list(n, func(i int) string { return builderOf(0, "") }), ""
	},
	"images of one name": func(n int) (string, string, string, string) {
		return "", "", list(n, func(i int) string { return strings.Replace(builderOf(i, ""), fmt.Sprintf("image-%d-", i), "image-", 1) }), ""
	},
	"provisioners of one builder each": func(n int) (string, string, string, string) {
		return "", "", list(n, func(i int) string { return builderOf(i, "") }),
			list(n, func(i int) string {
				return fmt.Sprintf(`{"type": "shell", "inline": ["true"], "only": ["build-%d"]}`, i)
			})
	},
	"a provisioner that names all builders": func(n int) (string, string, string, string) {
		return "", "", list(n, func(i int) string { return builderOf(i, "") }),
			`{"type": "shell", "inline": ["true"], "only": [` + list(n, func(i int) string { return fmt.Sprintf(`"build-%d"`, i) }) + `]},
 {"type": "shell", "inline": ["true"], "override": {` + list(n, func(i int) string { return fmt.Sprintf(`"build-%d": {"inline": ["x"]}`, i) }) + `}}`
	},
	"builders that are not there": func(n int) (string, string, string, string) {
		return "", "", list(n, func(i int) string { return builderOf(i, "") }),
			`{"type": "shell", "inline": ["true"], "only": [` + list(n, func(i int) string { return fmt.Sprintf(`"biuld-%d"`, i) }) + `]}`
	},
	"variables": func(n int) (string, string, string, string) {
		return "," + list(n, func(i int) string { return fmt.Sprintf(`"v%d": "{{user |version|}}"`, i) }), "",
			list(n, func(i int) string { return builderOf(i, fmt.Sprintf(`, "ami_description": "{{user |v%d|}}"`, i)) }), ""
	},
	"variables that nothing declares": func(n int) (string, string, string, string) {
		return "," + list(n, func(i int) string { return fmt.Sprintf(`"v%d": "x"`, i) }), "",
			list(n, func(i int) string { return builderOf(i, fmt.Sprintf(`, "ami_description": "{{user |w%d|}}"`, i)) }), ""
	},
	"sensitive variables": func(n int) (string, string, string, string) {
		return "," + list(n, func(i int) string { return fmt.Sprintf(`"v%d": "secret%d"`, i, i) }), list(n, func(i int) string { return fmt.Sprintf(`"v%d"`, i) }),
			builderOf(0, `, "ena_support": "perhaps"`), ""
	},
	"faults in one text": func(n int) (string, string, string, string) {
		return "", "", builderOf(0, `, "user_data": "`+strings.Repeat(`{{nosuch}} {{user |none|}}\n`, n)+`"`), ""
	},
	"tags": func(n int) (string, string, string, string) {
		return "", "", builderOf(0, `, "run_tags": {`+list(n, func(i int) string { return fmt.Sprintf(`"aws:{{user |version|}}-%d": "x"`, i) })+`}`), ""
	},
	"lines of a script": func(n int) (string, string, string, string) {
		return "", "", builderOf(0, ""), `{"type": "shell", "inline": [` + list(n, func(i int) string { return `"echo {{user |version|}} {{nosuch}}"` }) + `]}`
	},
}

// shaped is the template of a shape.
func shaped(name string, n int) string {
	variables, sensitive, builders, provisioners := shapes[name](n)
	return strings.ReplaceAll(`{"variables": {"region": "us-east-1", "version": "1.0"`+variables+`}, "sensitive-variables": [`+sensitive+`], "builders": [
`+builders+`], "provisioners": [`+provisioners+`]}`, "|", "`")
}

// validateText does what `imgflow validate` does, and returns what it prints.
func validateText(t testing.TB, src string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "t.json")
	if err := os.WriteFile(file, []byte(src), 0o666); err != nil {
		t.Fatal(err)
	}
	s := sessionOf(nil, file)
	defer s.Close()
	var b strings.Builder
	if err := s.Load(t.Context(), false); err != nil {
		b.WriteString(err.Error())
	}
	for _, w := range s.Warnings() {
		b.WriteString(w.Error())
	}
	return b.String()
}

func BenchmarkValidate(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1_000, 10_000} {
		src := shaped("builders", n)
		b.Run(fmt.Sprint(n, " builders"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if text := validateText(b, src); text != "" {
					b.Fatal(text)
				}
			}
		})
	}
}
