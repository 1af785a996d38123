package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/imgflow/imgflow/dag"
)

// verdict is what an error of EC2 means for the step that met it.
type verdict int

const (
	fails   verdict = iota // nothing will change by itself
	refused                // whoever calls may not: the call had no effect
	passes                 // it may pass
	absent                 // the thing is not there, or not yet visible
	exists                 // it was made before: adopt it if it is ours
	full                   // no capacity here: try the next place
)

// young is how long after its making a thing may still be denied by EC2.
const young = 150 * time.Second

// rule is one line of the table that decides. A code may end in *; call "" is
// any call; a rule with an age holds only while the thing spoken of is younger.
type rule struct {
	code    string
	call    string
	younger time.Duration
	is      verdict
	advice  string
}

// rules: the first that fits decides. What is not here fails, but for errors
// that the SDK knows to pass (throttling, 5xx, broken connections).
var rules = []rule{
	// Made by an attempt whose reply was lost, perhaps.
	{"InvalidKeyPair.Duplicate", "ImportKeyPair", 0, exists, "choose another temporary_key_pair_name"},
	{"InvalidGroup.Duplicate", "CreateSecurityGroup", 0, exists, ""},
	{"InvalidPermission.Duplicate", "AuthorizeSecurityGroupIngress", 0, exists, ""},
	{"InvalidAMIName.Duplicate", "", 0, exists, "choose another ami_name, or set force_deregister"},
	{"IdempotentParameterMismatch", "", 0, exists, ""},

	// Removing what is gone.
	{"InvalidKeyPair.NotFound", "DeleteKeyPair", 0, absent, ""},
	{"InvalidGroup.NotFound", "DeleteSecurityGroup", 0, absent, ""},
	{"InvalidGroupId.Malformed", "DeleteSecurityGroup", 0, fails, ""},
	{"InvalidInstanceID.NotFound", "TerminateInstances", 0, absent, ""},
	{"InvalidAMIID.NotFound", "DeregisterImage", 0, absent, ""},
	{"InvalidAMIID.Unavailable", "DeregisterImage", 0, absent, ""},
	{"InvalidSnapshot.NotFound", "DeleteSnapshot", 0, absent, ""},
	{"InvalidVolume.NotFound", "DeleteVolume", 0, absent, ""},
	{"DependencyViolation", "DeleteSecurityGroup", 0, passes, "an instance or a network interface still uses the group"},
	{"InvalidGroup.InUse", "DeleteSecurityGroup", 0, passes, "an instance or a network interface still uses the group"},
	{"InvalidSnapshot.InUse", "DeleteSnapshot", 0, passes, "an image still uses the snapshot"},
	{"VolumeInUse", "DeleteVolume", 0, passes, "an instance still uses the volume"},

	// Not visible everywhere yet; an old one that is missing stays missing.
	{"InvalidInstanceID.NotFound", "", young, passes, ""},
	{"InvalidGroup.NotFound", "", young, passes, ""},
	{"InvalidKeyPair.NotFound", "", young, passes, ""},
	{"InvalidAMIID.NotFound", "", young, passes, ""},
	{"InvalidAMIID.Unavailable", "", young, passes, ""},
	{"InvalidSnapshot.NotFound", "", young, passes, ""},
	{"InvalidInstanceID.NotFound", "", 0, absent, ""},
	{"InvalidGroup.NotFound", "", 0, absent, "the security group does not exist in this region"},
	{"InvalidKeyPair.NotFound", "", 0, absent, "the key pair does not exist in this region"},
	{"InvalidAMIID.NotFound", "", 0, absent, "look whether the image exists in this region and whether you may use it"},
	{"InvalidSnapshot.NotFound", "", 0, absent, ""},

	// States that change by themselves.
	{"IncorrectInstanceState", "", 0, passes, ""},
	{"IncorrectState", "", 0, passes, ""},
	{"InvalidInstanceID", "CreateImage", young, passes, ""},
	{"SnapshotCreationPerVolumeRateExceeded", "", 0, passes, ""},
	{"ConcurrentSnapshotLimitExceeded", "", 0, passes, ""},
	{"PendingSnapshotLimitExceeded", "", 0, passes, ""},
	{"ResourceLimitExceeded", "CopyImage", 0, passes, ""},

	// No room.
	{"InsufficientInstanceCapacity", "RunInstances", 0, full, "try another instance_type, availability_zone or subnet"},
	{"InsufficientHostCapacity", "RunInstances", 0, full, "try another host or availability_zone"},
	{"InsufficientFreeAddressesInSubnet", "RunInstances", 0, full, "choose a subnet with free addresses"},
	{"Unsupported", "RunInstances", 0, full, "look whether the zone offers the instance_type and whether it fits the image"},
	{"InstanceLimitExceeded", "", 0, fails, "end an instance or ask AWS for a higher limit"},
	{"VcpuLimitExceeded", "", 0, fails, "end an instance or ask AWS for a higher limit"},

	// Who calls is not known or may not do it.
	{"AuthFailure", "", 0, refused, "look at the credentials: the access key, the secret key, this machine's clock, and whether the region is enabled in your AWS account"},
	{"InvalidClientTokenId", "", 0, refused, "the access key does not exist: look at the credentials"},
	{"SignatureDoesNotMatch", "", 0, refused, "the secret key is wrong, or this machine's clock"},
	{"RequestExpired", "", 0, refused, "this machine's clock is wrong"},
	{"ExpiredToken*", "", 0, refused, "get new credentials, then resume"},
	{"UnauthorizedOperation", "", 0, refused, "the credentials lack this permission"},
	{"AccessDenied*", "", 0, refused, "the credentials lack this permission"},

	// What only the user can mend.
	{"OptInRequired", "", 0, fails, "accept the terms of the image or enable the region in your AWS account"},
	{"OperationNotPermitted", "TerminateInstances", 0, fails, "termination protection is on: switch it off"},
	{"VPCIdNotSpecified", "", 0, fails, "there is no default VPC: set vpc_id and subnet_id"},
	{"MissingInput", "RunInstances", 0, fails, "there is no default subnet: set subnet_id"},
	{"InvalidSubnetID.NotFound", "", 0, fails, "look at subnet_id"},
	{"InvalidVpcID.NotFound", "", 0, fails, "look at vpc_id"},
}

// apiError returns what EC2 itself said, if it said anything.
func apiError(err error) (code, message string) {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode(), e.ErrorMessage()
	}
	return "", ""
}

// isCall reports whether an error is one of a call, and not of a step itself.
func isCall(err error) bool {
	var e *smithy.OperationError
	return errors.As(err, &e)
}

// judge looks an error up. Age is that of the youngest thing that the call spoke
// of; one that cannot have been made by this run is old.
func judge(call string, age time.Duration, err error) rule {
	code, _ := apiError(err)
	for _, r := range rules {
		stem, wild := strings.CutSuffix(r.code, "*")
		if (code == r.code || wild && strings.HasPrefix(code, stem)) && (r.call == "" || r.call == call) && (r.younger == 0 || age < r.younger) {
			return r
		}
	}
	if transient(err) {
		return rule{is: passes}
	}
	return rule{}
}

// transient knows the errors of the way to EC2 and of EC2's own moods.
func transient(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	var garbled *smithy.DeserializationError // a number that is none, for one
	return errors.As(err, &garbled) || retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err).Bool()
}

func throttled(err error) bool {
	code, _ := apiError(err)
	_, ok := retry.DefaultThrottleErrorCodes[code]
	return ok
}

// old is the age of what this run did not make.
const old = 1000 * time.Hour

// since is the age of a thing made at t.
func since(t time.Time) time.Duration { return time.Since(t) }

// fault words an error: what could not be done, what EC2 said, what to do. One
// that may pass is marked for a retry; an absent thing is dag.ErrNotFound.
func fault(doing, call string, age time.Duration, err error) error {
	if err == nil {
		return nil
	}
	r := judge(call, age, err)
	text := &Error{Doing: doing, Call: call, Advice: r.advice, Err: err}
	text.Code, text.Message = apiError(err)
	if strings.Contains(text.Message, "valid region") {
		text.Advice = "look at region: the endpoint that was called belongs to another one"
	}
	if call == "RunInstances" && strings.Contains(strings.ToLower(text.Message), "iaminstanceprofile") {
		text.Advice = "look whether iam_instance_profile exists"
	}
	switch r.is {
	case passes:
		return dag.Retry(text, 0)
	case absent:
		text.absent = true
	}
	return text
}

// unmade is the fault of the call that makes a step's thing. Where whoever calls
// was refused, and no earlier attempt of it may have had an effect, it proves
// that nothing was made.
func unmade(doing, call string, age time.Duration, err error) error {
	f := fault(doing, call, age, err)
	var before *afterDoubt
	if (judge(call, age, err).is == refused || noCredentials(err)) && !errors.As(err, &before) {
		return dag.NotMade(f)
	}
	return f
}

// afterDoubt is the last error of a call of which an earlier attempt may have had
// an effect.
type afterDoubt struct{ error }

func (e *afterDoubt) Unwrap() error { return e.error }

// noCredentials reports whether the call was never sent, since nobody could sign it.
func noCredentials(err error) bool {
	code, _ := apiError(err)
	return code == "" && (strings.Contains(err.Error(), "get identity") || strings.Contains(err.Error(), "refresh cached credentials"))
}

// lacksPermission reports whether EC2 knows who calls, and does not let them.
func lacksPermission(code string) bool {
	return code == "UnauthorizedOperation" || strings.HasPrefix(code, "AccessDenied")
}

// Error is a failed call, in the user's words.
type Error struct {
	Doing   string // what could not be done, for "cannot ..."
	Call    string // the EC2 call
	Code    string // EC2's error code; empty when there was no answer
	Message string // EC2's own words
	Advice  string // what to do, may be empty
	Err     error

	absent bool
}

func (e *Error) Error() string {
	text := "cannot " + e.Doing + ": "
	switch {
	case e.Code != "":
		text += e.Code + ": " + strings.TrimSuffix(clip(e.Message, 400), ".")
		if lacksPermission(e.Code) {
			return text + " (the credentials lack the permission ec2:" + e.Call + ")"
		}
	case noCredentials(e.Err):
		return text + "no usable AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or access_key and secret_key in the template (" + clip(innermost(e.Err), 300) + ")"
	default:
		text += clip(innermost(e.Err), 300)
	}
	if e.Advice != "" {
		text += " (" + e.Advice + ")"
	}
	return text
}

func (e *Error) Unwrap() []error {
	if e.absent {
		return []error{e.Err, dag.ErrNotFound}
	}
	return []error{e.Err}
}

// innermost is the last cause: the SDK wraps it into many layers of words.
func innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "..."
	}
	return s
}

// list joins names for a message, the first of many.
func list(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
