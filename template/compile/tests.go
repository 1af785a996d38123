package compile

import (
	"regexp"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/template"
)

// trial is a test of what a build makes. The names of its steps begin with its own.
type trial struct {
	name string
	steps.Test
	provisioners []named
}

// testName is what a test may be called: it becomes part of the names of steps, and of words on the command line.
var testName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// tests checks the tests of a build.
func (c *compiler) tests(source steps.Source, b template.Build, over string) (list []trial) {
	why := ""
	if x, ok := source.(steps.Productless); ok {
		why = x.WithoutProduct()
	}
	taken, seen := map[string]bool{}, map[string]bool{}
	for _, x := range b.Tests {
		if x.Name != "" {
			taken["test-"+x.Name] = true
		}
	}
	for _, x := range b.Tests {
		name := "test-" + x.Name
		switch {
		case x.Name == "":
			name = free("test", taken)
		case !testName.MatchString(x.Name):
			c.errs.Add(x.Pos, "", "cannot use the name of the test: %q is not made of letters, digits, - and _, at most 63", clipped(x.Name))
		case seen[name]:
			c.errs.AddCode(errcode.DuplicateName, x.Pos, "give each test a name of its own", "cannot use the test: %s has another that is called %q", b.Name, x.Name)
		}
		taken[name], seen[name] = true, true
		t := trial{name: name}
		testable, ok := source.(steps.Testable)
		switch {
		case ok:
			t.Test = testable.Test()
			c.check(c.decoder("test", b.Name+"."+name, x.Pos), t.Test, x.Options)
		case source != nil:
			c.errs.Add(x.Pos, "say in only which builds it is for", "cannot test %s: no machine can be started of what the builder %s makes", b.Name, b.Type)
		}
		t.provisioners = c.provisioners(x.Provisioners, b.Name, name+".", over, "")
		switch {
		case why != "":
			c.warnings.AddCode(errcode.OptionIdle, x.Pos, "", "the test has no effect in %s: %s", b.Name, why)
		case ok:
			list = append(list, t)
		}
	}
	return list
}
