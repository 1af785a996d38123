package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLicences holds what is in the program against what may be.
func TestLicences(t *testing.T) {
	notices := filepath.Join(t.TempDir(), "NOTICES")
	t.Chdir("../..")
	if err := run(notices); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(notices)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Go's standard library go1", "github.com/aws/aws-sdk-go-v2 v", "(MPL-2.0)", "AWS SDK for Go", "Copyright 2009 The Go Authors"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the notices lack %q", want)
		}
	}
	for path := range unlicensed {
		if !strings.Contains(string(text), "\n"+path+" ") || strings.Count(string(text), "(no licence)") != len(unlicensed) {
			t.Errorf("%s need not be listed as a module without a licence", path)
		}
	}
}

func TestClassify(t *testing.T) {
	for text, want := range map[string]string{
		"                    GNU GENERAL PUBLIC LICENSE\n  Version 3":                                        "GPL",
		"GNU AFFERO GENERAL PUBLIC LICENSE":                                                                  "AGPL",
		"GNU LESSER GENERAL PUBLIC LICENSE":                                                                  "LGPL",
		"License text copyright (c) 2020 MariaDB Corporation Ab\n\"Business Source License\" is a trademark": "BUSL",
		"Server Side Public License\nVERSION 1":                                                              "SSPL",
		"“Commons Clause” License Condition v1.0\nPermission is hereby granted, free of charge, to any person obtaining a copy of the software": "Commons Clause",
		"You may do as you like": "not known here",
	} {
		if name, err := classify(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %s, %v", text, name, err)
		}
	}
}

// A module without a licence, and one of two of which one is refused, do not get in.
func TestLicenceOfAModule(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("README", "MIT")
	if _, _, err := licenceOf(dir); err == nil || !strings.Contains(err.Error(), "no licence") {
		t.Errorf("without one: %v", err)
	}
	put("LICENSE.md", "Permission to use, copy, modify, and/or distribute this software\nfor any purpose with or without fee is granted")
	put("NOTICE", "made by us")
	if name, texts, err := licenceOf(dir); err != nil || name != "ISC" || len(texts) != 2 {
		t.Errorf("%s, %q, %v", name, texts, err)
	}
	put("COPYING", "GNU GENERAL PUBLIC LICENSE")
	if _, _, err := licenceOf(dir); err == nil || !strings.Contains(err.Error(), "COPYING: it is under GPL") {
		t.Errorf("with a second: %v", err)
	}
}
