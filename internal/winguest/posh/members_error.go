package posh

import (
	"fmt"
	"strings"
)

func (s *shell) recordGet(r *errorRecord, k string) (any, bool, error) {
	switch k {
	case "exception":
		return r.exc, true, nil
	case "fullyqualifiederrorid":
		return r.id, true, nil
	case "targetobject":
		return r.target, true, nil
	case "scriptstacktrace":
		line := 0
		file := "<No file>"
		if r.src != nil {
			line, _ = r.src.position(r.at.from)
			if r.src.file != "" {
				file = r.src.file
			}
		}
		return fmt.Sprintf("at <ScriptBlock>, %s: line %d", file, line), true, nil
	case "categoryinfo":
		o := NewObject("System.Management.Automation.ErrorCategoryInfo")
		o.Set("Category", r.categoryName()).Set("Activity", r.command).Set("Reason", r.reason()).Set("TargetName", s.text(r.target)).Set("TargetType", shortName(typeNameOf(r.target)))
		o.Text = func() string { return s.categoryText(r) }
		return o, true, nil
	case "errordetails":
		if r.details == "" {
			return nil, true, nil
		}
		return NewObject("System.Management.Automation.ErrorDetails").Set("Message", r.details), true, nil
	case "invocationinfo":
		o := NewObject("System.Management.Automation.InvocationInfo")
		line, col, text, file := 0, 0, "", ""
		if r.src != nil {
			line, col = r.src.position(r.at.from)
			text, _ = r.src.line(r.at.from)
			file = r.src.file
		}
		o.Set("ScriptLineNumber", int32(line)).Set("OffsetInLine", int32(col)).Set("Line", text).Set("ScriptName", file)
		o.Set("PositionMessage", s.positionMessage(r)).Set("InvocationName", r.command).Set("MyCommand", r.command)
		return o, true, nil
	case "pipelineiterationinfo":
		return &Array{}, true, nil
	}
	return nil, false, nil
}

func shortName(t string) string { return t[strings.LastIndexAny(t, ".+")+1:] }

// getNamed is getMember by a name that a script has computed: a hash table takes any
// key there.
func (s *shell) getNamed(x, name any) (any, error) {
	if h, ok := x.(*Hash); ok {
		if v, ok := h.Get(name); ok {
			return v, nil
		}
	}
	return s.getMember(x, s.text(name))
}
