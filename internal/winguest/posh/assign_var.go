package posh

import (
	"strings"
)

// assignVar is $name = value, and gives what the variable holds then.
func (s *shell) assignVar(e *varExpr, v any, typ *Type) (any, error) {
	sc := s.scope
	switch e.drive {
	case "", "local", "variable":
	case "private":
		return nil, s.refuse("$private:")
	case "global", "script":
		sc = s.scopeNamed(e.drive)
	case "env":
		s.env.Set(e.key, s.text(plainOf(v)))
		return v, nil
	case "function":
		b, ok := v.(*Block)
		if !ok {
			return nil, s.refuse("$function: with something that is not a script block")
		}
		s.functions[foldKey(e.key)] = b
		return v, nil
	default:
		return nil, s.refuse("$%s:%s = …", e.drive, e.key)
	}
	return s.assign(sc, e.key, e.name, v, typ)
}

func (s *shell) assign(sc *scope, key, name string, v any, typ *Type) (any, error) {
	x, ok := sc.vars[key]
	if !ok {
		switch key {
		case "true", "false", "pid", "shellid", "pshome", "host", "executioncontext", "psversiontable", "?", "error", "home":
			x, ok = s.global.vars[key], true
		case "null":
			return v, nil
		case "psdefaultparametervalues":
			return nil, s.refuse("$PSDefaultParameterValues")
		case "outputencoding":
			s.console.pipeOut = v
		}
	}
	if ok && (x.readOnly || x.constant) {
		return nil, &Error{ID: "VariableNotWritable", Category: "WriteError", Target: name, Exception: "System.Management.Automation.SessionStateUnauthorizedAccessException",
			Message: "Cannot overwrite variable " + name + " because it is read-only or constant."}
	}
	if key == "null" {
		return v, nil
	}
	if typ == nil && ok {
		typ = x.typ
	}
	if typ != nil {
		c, err := s.castTo(plainOf(v), typ)
		if err != nil {
			if s.passes(err) {
				return nil, err
			}
			e := asError(err)
			return nil, &Error{ID: "RuntimeException", Category: "MetadataError", Message: e.Message, Exception: "System.Management.Automation.ArgumentTransformationMetadataException", inner: e.inner}
		}
		v = c
	}
	if err := s.checkPreference(key, plainOf(v)); err != nil {
		return nil, err
	}
	if ok {
		x.val, x.typ = v, typ
		return v, nil
	}
	if i := strings.IndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	sc.vars[key] = &variable{name: name, val: v, typ: typ}
	return v, nil
}

// checkPreference refuses preferences that nobody can answer here.
func (s *shell) checkPreference(key string, v any) error {
	switch key {
	case "whatifpreference":
		if truth(v) {
			return s.refuse("$WhatIfPreference")
		}
	case "erroractionpreference", "warningpreference", "verbosepreference", "debugpreference", "informationpreference":
		_, err := s.preference(s.text(v))
		return err
	}
	return nil
}
