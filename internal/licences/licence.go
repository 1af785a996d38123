package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// refused are licences by the beginnings of their texts, and additions wherever they stand.
var refused = []struct{ name, text string }{
	{"BUSL", "business source license"}, {"SSPL", "server side public license"}, {"AGPL", "gnu affero general public license"},
	{"LGPL", "gnu lesser general public license"}, {"GPL", "gnu general public license"}, {"Elastic", "elastic license"},
}

// granted are licences by what all of their texts say. The first that fits counts.
var granted = []struct {
	name string
	says []string
}{
	{"Apache-2.0", []string{"apache license", "version 2.0, january 2004", "grant of patent license"}},
	{"MPL-2.0", []string{"mozilla public license", "version 2.0", "incompatible with secondary licenses"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "neither the name"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms", "this list of conditions"}},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", "the software is provided \"as is\""}},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"}},
	{"ISC", []string{"permission to use, copy, modify, and distribute this software for any purpose with or without fee"}},
}

// unlicensed are modules that come without a licence, and are in imgflow-fleet all the
// same, with why. It is no licence: whoever passes the program on decides about it.
var unlicensed = map[string]string{
	"github.com/nexus-rpc/nexus-proto-annotations": "a file that is generated of four options of protobuf, which the API of Temporal (MIT) imports, by the same makers",
}

var (
	spaces     = regexp.MustCompile(`\s+`)
	licenceDoc = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([.-].*)?$`)
	noticeDoc  = regexp.MustCompile(`(?i)^(notice|patents)([.-].*)?$`)
)

// plain is a text without what differs between copies of a licence.
func plain(text string) string {
	text = strings.NewReplacer("“", `"`, "”", `"`, "``", `"`, "''", `"`).Replace(strings.ToLower(text))
	return strings.TrimSpace(spaces.ReplaceAllString(text, " "))
}

// classify tells a licence by its text.
func classify(text string) (string, error) {
	text = plain(text)
	begin := text[:min(len(text), 300)]
	for _, r := range refused {
		if strings.Contains(begin, r.text) {
			return "", fmt.Errorf("it is under %s", r.name)
		}
	}
	if strings.Contains(text, "commons clause") {
		return "", errors.New("the Commons Clause forbids to sell it")
	}
	for _, g := range granted {
		if !slices.ContainsFunc(g.says, func(s string) bool { return !strings.Contains(text, s) }) {
			return g.name, nil
		}
	}
	return "", fmt.Errorf("its licence is not known here: it begins %.60q", text)
}

var errNone = errors.New("it has no licence")

// licenceOf reads the licences of a module, of which there may be several, and what is to
// be passed on with them.
func licenceOf(dir string) (name string, texts []string, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, fmt.Errorf("cannot read its folder, which `go mod download` makes: %w", err)
	}
	var names []string
	for _, f := range files {
		licence := licenceDoc.MatchString(f.Name()) && !f.IsDir()
		if !licence && !(noticeDoc.MatchString(f.Name()) && !f.IsDir()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return "", nil, err
		}
		texts = append(texts, strings.TrimSpace(string(text)))
		if !licence {
			continue
		}
		n, err := classify(string(text))
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "", nil, errNone
	}
	return strings.Join(names, " and "), texts, nil
}
