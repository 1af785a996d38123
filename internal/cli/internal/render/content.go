package render

import (
	"fmt"
	"io"
	"strings"
)

// Content is what a template holds, before it is evaluated.
type Content struct {
	Description    string     `json:"description,omitempty"`
	Variables      []Variable `json:"variables"`
	Data           []Part     `json:"data,omitempty"` // data sources
	Builders       []Part     `json:"builders"`
	Provisioners   []Part     `json:"provisioners"`
	PostProcessors [][]string `json:"post_processors"` // each a sequence of types
	Tests          []Test     `json:"tests,omitempty"`
	Locals         []Variable `json:"locals,omitempty"`
	Plugins        []Plugin   `json:"plugins,omitempty"`
}

// Plugin is a plug-in of Packer that a template requires.
type Plugin struct {
	Source  string `json:"source"`
	Version string `json:"version,omitempty"`
	BuiltIn bool   `json:"built_in"`
}

// Variable is a variable that a template declares.
type Variable struct {
	Name      string `json:"name"`
	Default   string `json:"default"` // empty for a sensitive one
	Required  bool   `json:"required"`
	Sensitive bool   `json:"sensitive,omitempty"`
}

// Part is a data source, a builder or a provisioner, and for which builds it is meant.
type Part struct {
	Name   string   `json:"name,omitempty"`
	Type   string   `json:"type"`
	Only   []string `json:"only,omitempty"`
	Except []string `json:"except,omitempty"`
}

// Test is a test of what is built.
type Test struct {
	Name         string   `json:"name,omitempty"`
	Only         []string `json:"only,omitempty"`
	Except       []string `json:"except,omitempty"`
	Provisioners []string `json:"provisioners"` // types
}

// chosen says for which builds something is meant.
func chosen(only, except []string) (text string) {
	if len(only) > 0 {
		text = "only " + strings.Join(only, ", ")
	}
	if len(except) > 0 {
		text += " except " + strings.Join(except, ", ")
	}
	return strings.TrimSpace(text)
}

// Template writes what a template holds.
func Template(w io.Writer, c Content) {
	if c.Description != "" {
		fmt.Fprintf(w, "%s\n\n", c.Description)
	}
	section := func(title string, rows [][]string) {
		if len(rows) == 0 {
			rows = [][]string{{"none"}}
		}
		fmt.Fprintln(w, title+":")
		table(w, "  ", rows)
	}
	var rows [][]string
	for _, v := range c.Variables {
		value := fmt.Sprintf("= %q", v.Default)
		switch {
		case v.Required:
			value = "required"
		case v.Sensitive:
			value = "= <sensitive>"
		}
		rows = append(rows, []string{v.Name, value})
	}
	section("Variables", rows)
	rows = nil
	for _, l := range c.Locals {
		value := "= " + strings.Join(strings.Fields(l.Default), " ")
		if l.Sensitive {
			value = "= <sensitive>"
		}
		rows = append(rows, []string{l.Name, value})
	}
	if len(rows) > 0 {
		section("\nLocals", rows)
	}
	rows = nil
	for _, d := range c.Data {
		rows = append(rows, []string{d.Name, d.Type})
	}
	if len(rows) > 0 {
		section("\nData sources", rows)
	}
	rows = nil
	for _, b := range c.Builders {
		rows = append(rows, []string{b.Name, b.Type})
	}
	section("\nBuilders", rows)
	rows = nil
	for i, p := range c.Provisioners {
		rows = append(rows, []string{fmt.Sprintf("%d.", i+1), p.Type, chosen(p.Only, p.Except)})
	}
	section("\nProvisioners", rows)
	rows = nil
	for i, x := range c.Tests {
		rows = append(rows, []string{fmt.Sprintf("%d.", i+1), x.Name, strings.Join(x.Provisioners, ", "), chosen(x.Only, x.Except)})
	}
	if len(rows) > 0 {
		section("\nTests", rows)
	}
	rows = nil
	for _, seq := range c.PostProcessors {
		rows = append(rows, []string{strings.Join(seq, ", then ")})
	}
	if len(rows) > 0 {
		section("\nPost-processors", rows)
	}
	rows = nil
	for _, p := range c.Plugins {
		there := "not there"
		if p.BuiltIn {
			there = "built in"
		}
		rows = append(rows, []string{p.Source, p.Version, there})
	}
	if len(rows) > 0 {
		section("\nPlug-ins", rows)
	}
}
