package aws

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/imgflow/imgflow/dag"
)

// What EC2 takes. docs/limits.md has every rule with the calls that it is for and
// where it is published. Each function says why a value cannot be used, and
// nothing of one that can.
const (
	maxTags        = 50 // of one thing
	maxTagKey      = 128
	maxTagValue    = 256
	maxDescription = 255
	maxKeyName     = 255
	maxUserData    = 16 << 10 // bytes, before they are written as base64
)

// unknown reports whether a text of a template holds a sensitive value, or words
// that wait for the source image.
func unknown(text string) bool { return !dag.Text(text).Known() }

// shown is a text for a message, not longer than a line.
func shown(text string) string {
	if r := []rune(text); len(r) > 60 {
		text = string(r[:60]) + "..."
	}
	return fmt.Sprintf("%q", text)
}

var notInNames = regexp.MustCompile(`[^a-zA-Z0-9()\[\] ./\-'@_]`)

func wrongName(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case n < 3 || n > 128:
		return fmt.Sprintf("must have 3 to 128 characters, and has %d", n)
	case notInNames.MatchString(name):
		return fmt.Sprintf("%q cannot be in the name of an image; use letters, digits, spaces and ( ) [ ] . / - ' @ _, or clean_resource_name", notInNames.FindString(name))
	}
	return ""
}

func wrongDescription(text string) string {
	if i := strings.IndexFunc(text, notASCII); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		return fmt.Sprintf("EC2 takes ASCII characters only, and %q is none", r)
	}
	if len(text) > maxDescription {
		return fmt.Sprintf("must have at most %d characters, and has %d", maxDescription, len(text))
	}
	return ""
}

// notASCII tells what no text in ASCII holds, control characters among it.
func notASCII(r rune) bool {
	return r > 126 || r < ' ' && r != '\t' && r != '\n' && r != '\r'
}

// ownTags begins the keys of tags that are imgflow's.
const ownTags = "imgflow:"

func wrongTagKey(key string) string {
	n := utf8.RuneCountInString(key)
	switch low := strings.ToLower(key); {
	case n == 0:
		return "the key of a tag cannot be empty"
	case n > maxTagKey:
		return fmt.Sprintf("the key of a tag has at most %d characters, and this one %d", maxTagKey, n)
	case strings.HasPrefix(low, "aws:"):
		return "keys that begin with aws: are reserved for AWS"
	case strings.HasPrefix(low, ownTags):
		return "keys that begin with " + ownTags + " are those by which imgflow finds what it made"
	}
	return ""
}

func wrongTagValue(value string) string {
	if n := utf8.RuneCountInString(value); n > maxTagValue {
		return fmt.Sprintf("the value of a tag has at most %d characters, and this one %d", maxTagValue, n)
	}
	return ""
}

var metadataTag = regexp.MustCompile(`^[0-9a-zA-Z\-_+=,.@:]+$`)

// wrongMetadataTag is the rule for keys of tags that the instance itself shows.
func wrongMetadataTag(key string) string {
	if !metadataTag.MatchString(key) || key == "." || key == ".." || key == "_index" {
		return "with instance_metadata_tags keys hold only letters, digits and - _ + = , . @ : and are not . or .. or _index"
	}
	return ""
}

var ids = regexp.MustCompile(`^[a-z]+-(?:[0-9a-f]{8}|[0-9a-f]{17})$`)

// wrongID is the rule for ids such as ami-0123456789abcdef0.
func wrongID(prefix, id string) string {
	if strings.HasPrefix(id, prefix+"-") && ids.MatchString(id) {
		return ""
	}
	return fmt.Sprintf("%s is no id such as %s-0123456789abcdef0", shown(id), prefix)
}

var accounts = regexp.MustCompile(`^[0-9]{12}$`)

func wrongAccount(id string) string {
	if accounts.MatchString(id) {
		return ""
	}
	return shown(id) + " is no account: it has 12 digits, and is written in quotes"
}

// wrongOwner takes an alias of AWS's, too, of which there may be new ones.
func wrongOwner(owner string) string {
	if accounts.MatchString(owner) || aliases.MatchString(owner) {
		return ""
	}
	return shown(owner) + " is neither an account, which has 12 digits, nor self or an alias such as amazon"
}

var aliases = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

func wrongGroup(group string) string {
	if group == "all" {
		return ""
	}
	return shown(group) + " is not known; the only group is all, which is everybody"
}

var (
	organizations = regexp.MustCompile(`^arn:aws[a-z-]*:organizations::[0-9]{12}:organization/o-[a-z0-9]{10,32}$`)
	units         = regexp.MustCompile(`^arn:aws[a-z-]*:organizations::[0-9]{12}:ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}$`)
)

func wrongOrganization(arn string) string {
	if organizations.MatchString(arn) {
		return ""
	}
	return shown(arn) + " is not of the form arn:aws:organizations::123456789012:organization/o-0123456789"
}

func wrongUnit(arn string) string {
	if units.MatchString(arn) {
		return ""
	}
	return shown(arn) + " is not of the form arn:aws:organizations::123456789012:ou/o-0123456789/ou-ab12-01234567"
}

var productCodes = regexp.MustCompile(`^[a-zA-Z0-9]+$`)

func wrongProductCode(code string) string {
	if productCodes.MatchString(code) {
		return ""
	}
	return shown(code) + " is no product code: they are letters and digits"
}

// wrongDeprecation looks at a time in RFC 3339. That of a public image must come
// sooner.
func wrongDeprecation(at string, public bool, now time.Time) string {
	t, err := time.Parse(time.RFC3339, at)
	switch {
	case err != nil:
		return shown(at) + " is not a time; write it as 2030-01-02T15:04:05Z"
	case !t.After(now):
		return at + " is past"
	case public && t.After(now.AddDate(2, 0, 0)):
		return at + " is more than 2 years from now, the most that EC2 takes for a public image"
	case t.After(now.AddDate(10, 0, 0)):
		return at + " is more than 10 years from now, the most that EC2 takes"
	}
	return ""
}

var regions = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]+$`)

func wrongRegion(name string) string {
	if regions.MatchString(name) {
		return ""
	}
	return shown(name) + " is no region such as us-east-1"
}

var zones = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]+([a-z]|(-[a-z0-9]+)+)$`)

// wrongZone looks at the region, too, where it is given.
func wrongZone(zone, region string) string {
	switch {
	case !zones.MatchString(zone):
		return shown(zone) + " is no availability zone such as us-east-1a"
	case region != "" && !unknown(region) && !strings.HasPrefix(zone, region):
		return fmt.Sprintf("%s is not in %s", zone, region)
	}
	return ""
}

var instanceTypes = regexp.MustCompile(`^[a-z0-9-]+\.[a-z0-9-]+$`)

func wrongInstanceType(name string) string {
	if instanceTypes.MatchString(name) {
		return ""
	}
	return shown(name) + " is no instance type such as t3.micro"
}

var profiles = regexp.MustCompile(`^[a-zA-Z0-9_+=,.@-]{1,128}$`)

func wrongProfile(name string) string {
	switch {
	case profiles.MatchString(name):
		return ""
	case strings.HasPrefix(name, "arn:"):
		return "give the name of the instance profile, which is the last part of its ARN"
	}
	return shown(name) + " is no name of an instance profile: it has up to 128 letters, digits and + = , . @ - _"
}

func wrongKeyName(name string) string {
	if n := utf8.RuneCountInString(name); n > maxKeyName {
		return fmt.Sprintf("must have at most %d characters, and has %d", maxKeyName, n)
	}
	if strings.ContainsFunc(name, notASCII) {
		return "EC2 takes ASCII characters only"
	}
	if strings.TrimSpace(name) != name {
		return "cannot begin or end with a space"
	}
	return ""
}

var kmsKeys = regexp.MustCompile(`^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key/)?)?(alias/[a-zA-Z0-9:/_-]+|mrk-[0-9a-f]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$`)

func wrongKMSKey(key string) string {
	if kmsKeys.MatchString(key) {
		return ""
	}
	return shown(key) + " is not a key id, an alias/name or an ARN of a KMS key"
}

var arns = regexp.MustCompile(`^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:\S+$`)

func wrongARN(arn string) string {
	if arns.MatchString(arn) {
		return ""
	}
	return shown(arn) + " is no ARN, which begins with arn:aws: and names an account"
}

func wrongUserData(bytes int) string {
	if bytes <= maxUserData {
		return ""
	}
	return fmt.Sprintf("EC2 takes at most %d bytes, and these are %d", maxUserData, bytes)
}

// A volumeType is what EC2 says of the volumes of one type. Sizes are in GiB.
type volumeType struct {
	least, most         int
	leastIOPS, mostIOPS int // 0 for a type whose IOPS are not a matter of choice
	perGiB              int // IOPS that one GiB can have
	needsIOPS           bool
}

// limitsRead is when the limits of volumes were last compared with what EC2 publishes.
const limitsRead = "November 2026"

var volumeTypes = map[string]volumeType{
	"gp2":      {least: 1, most: 16384},
	"gp3":      {least: 1, most: 65536, leastIOPS: 3000, mostIOPS: 80000, perGiB: 500},
	"io1":      {least: 4, most: 16384, leastIOPS: 100, mostIOPS: 64000, perGiB: 50, needsIOPS: true},
	"io2":      {least: 4, most: 65536, leastIOPS: 100, mostIOPS: 256000, perGiB: 1000, needsIOPS: true},
	"st1":      {least: 125, most: 16384},
	"sc1":      {least: 125, most: 16384},
	"standard": {least: 1, most: 1024},
}

// Throughput is a choice for gp3 only, in MiB/s; one MiB/s needs four IOPS.
const (
	leastThroughput, mostThroughput = 125, 2000
	iopsPerThroughput               = 4
)
