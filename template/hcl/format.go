package hcl

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/hcl/funcs"
)

// Format lays out a file of the native syntax as Packer and Terraform do: indented by two spaces, with the values of neighbouring
// attributes below each other. Only white space within lines changes, so each line stays where it is. A file that cannot be read is not laid out.
func Format(f template.VarFile) ([]byte, template.Errors) {
	files := sources{f.Name: template.NewFile(f.Name, f.Src)}
	src := bytes.TrimPrefix(f.Src, []byte("\ufeff"))
	var errs template.Errors
	var diags hcl.Diagnostics
	if d := funcs.TooDeep(f.Name, src); d != nil {
		diags = hcl.Diagnostics{d}
	} else {
		_, diags = hclsyntax.ParseConfig(src, f.Name, hcl.InitialPos)
	}
	files.report(&errs, "cannot lay out the file", diags)
	if len(errs) > 0 {
		return nil, errs.Sorted()
	}
	return hclwrite.Format(src), nil
}
