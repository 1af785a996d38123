// Package sbom writes what is installed on a machine as a software bill of
// materials: CycloneDX 1.6, in JSON.
//
//	l, err := sbom.Parse(out)         // what Script has printed on a machine with sh
//	text, err := l.CycloneDX(time.Now())
//
// [Script] asks the package database that the machine has, dpkg, rpm or apk, for what
// is installed, and changes nothing. A package has a URL (purl) by which others
// find it again, such as
//
//	pkg:deb/debian/libc6@2.36-9%2Bdeb12u7?arch=amd64&distro=debian-12
//
// What comes from the machine is text of somebody else: it is bounded by whoever reads
// it, and whatever is in it stands in the document as a text of JSON.
//
// Sources: CycloneDX 1.6 (ecma-international.org, ECMA-424), and the purl specification
// (github.com/package-url/purl-spec) with its types deb, rpm and apk.
package sbom
