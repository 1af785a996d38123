package ec2local

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// newID makes an id such as i-0123456789abcdef0.
func newID(prefix string) string {
	b := make([]byte, 9)
	rand.Read(b)
	return prefix + "-0" + hex.EncodeToString(b)[:16]
}

// fixedID is the same for the same name, in every state directory.
func fixedID(prefix, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + "-0" + hex.EncodeToString(sum[:])[:16]
}

var idPattern = patternOf(`^(?:import-)?[a-z]+-(?:[0-9a-f]{8}|[0-9a-f]{17})$`)

// wellFormed tells whether text is an id of that prefix.
func wellFormed(prefix, text string) bool {
	return strings.HasPrefix(text, prefix+"-") && idPattern.MatchString(text)
}

// kinds tells what an id names: the resource type of tags.
var kinds = map[string]string{
	"ami": "image", "eice": "instance-connect-endpoint", "eni": "network-interface", "fleet": "fleet", "i": "instance", "igw": "internet-gateway", "import": "import-image-task",
	"key": "key-pair", "lt": "launch-template", "rtb": "route-table", "sg": "security-group",
	"sgr": "security-group-rule", "snap": "snapshot", "subnet": "subnet", "vol": "volume", "vpc": "vpc",
}

func resourceType(id string) string {
	prefix, _, _ := strings.Cut(id, "-")
	return kinds[prefix]
}
