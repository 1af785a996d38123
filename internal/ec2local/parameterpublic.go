package ec2local

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

var publics sync.Map // region → []*parameter

// publicParameters are those in which the publishers of the catalogue's images
// name them, in the order of their names. Each has a version for each image.
//
// Canonical's names are of "Finding the latest Ubuntu AMI" in the Ubuntu on AWS
// documentation, Debian's of its wiki (Cloud/AmazonEC2Image), Amazon's of "Calling
// public parameters for Amazon Machine Images" in the AWS Systems Manager User Guide.
func publicParameters(region string) []*parameter {
	if l, ok := publics.Load(region); ok {
		return l.([]*parameter)
	}
	byName := map[string]*parameter{}
	add := func(name, value string, at time.Time) {
		p := byName[name]
		if p == nil {
			p = &parameter{base: base{ID: name, Region: region, Created: at}, public: true}
			byName[name] = p
		}
		p.Versions = append(p.Versions, parameterVersion{Number: len(p.Versions) + 1, Type: plainString, Value: value, Modified: at, DataType: "text", Tier: "Standard"})
	}
	for _, p := range products {
		for _, date := range p.dates {
			m := p.image(region, date)
			for _, name := range p.parameters(m) {
				add(name, m.ID, m.Created)
			}
		}
	}
	list := make([]*parameter, 0, len(byName))
	for _, p := range byName {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *parameter) int { return cmp.Compare(a.ID, b.ID) })
	l, _ := publics.LoadOrStore(region, list)
	return l.([]*parameter)
}

// parameters are the names of those that hold an image of the product. Its dates
// go up, so the newest image is the last version.
func (p product) parameters(m *image) (names []string) {
	stem, serial, _ := cutLast(m.Name, "-")
	short := map[string]string{"x86_64": "amd64", "arm64": "arm64"}[p.arch]
	switch p.owner {
	case canonical:
		// ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260513
		part := strings.Split(strings.TrimPrefix(stem, "ubuntu/images/"), "/")
		storage := map[string]string{"hvm-ssd": "ebs-gp2", "hvm-ssd-gp3": "ebs-gp3"}[part[0]]
		code := strings.Split(part[1], "-")[1]
		for _, release := range []string{p.release.Version, code} {
			for _, date := range []string{"current", serial} {
				names = append(names, "/aws/service/canonical/ubuntu/server/"+release+"/stable/"+date+"/"+short+"/hvm/"+storage+"/ami-id")
			}
		}
	case debian:
		names = append(names, "/aws/service/debian/release/"+p.release.Version+"/latest/"+short)
	case amazonLinux:
		if p.release.Version == "2" {
			return []string{"/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-" + p.arch + "-gp2"}
		}
		for _, kernel := range []string{"kernel-default", "kernel-6.1"} {
			names = append(names, "/aws/service/ami-amazon-linux-latest/al2023-ami-"+kernel+"-"+p.arch)
		}
	case windowsTeam:
		names = append(names, "/aws/service/ami-windows-latest/"+stem)
	}
	return names
}
