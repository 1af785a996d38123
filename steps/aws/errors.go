package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
)

// errorClass is what an error of EC2 means for the step that met it.
type errorClass int

const (
	permanent     errorClass = iota // nothing will change by itself
	unauthorized                    // the caller may not: the call had no effect
	transient                       // it may pass
	notFound                        // the thing does not exist, or is not visible yet
	alreadyExists                   // it was made before: adopt it if it is ours
	noCapacity                      // try the next place
)

// young is how long after its making a thing may still be denied by EC2.
const young = 150 * time.Second

// rule is one line of the table that classifies. A code may end in *; call "" is
// any call; a rule with an age holds only while the thing spoken of is younger.
type rule struct {
	code    string
	call    string
	younger time.Duration
	class   errorClass
	advice  string
}

// rules: the first that matches decides. Any other error is permanent, unless the
// SDK retries it (throttling, 5xx, broken connections).
var rules = []rule{
	// Made by an attempt whose reply was lost, perhaps.
	{"InvalidKeyPair.Duplicate", "ImportKeyPair", 0, alreadyExists, "choose another temporary_key_pair_name"},
	{"InvalidGroup.Duplicate", "CreateSecurityGroup", 0, alreadyExists, ""},
	{"InvalidPermission.Duplicate", "AuthorizeSecurityGroupIngress", 0, alreadyExists, ""},
	{"InvalidAMIName.Duplicate", "", 0, alreadyExists, "choose another ami_name, or set force_deregister"},
	{"IdempotentParameterMismatch", "", 0, alreadyExists, ""},
	{"EntityAlreadyExists", "", 0, alreadyExists, ""},

	// Removing what is gone.
	{"InvalidKeyPair.NotFound", "DeleteKeyPair", 0, notFound, ""},
	{"InvalidGroup.NotFound", "DeleteSecurityGroup", 0, notFound, ""},
	{"InvalidGroupId.Malformed", "DeleteSecurityGroup", 0, permanent, ""},
	{"InvalidInstanceID.NotFound", "TerminateInstances", 0, notFound, ""},
	{"InvalidAMIID.NotFound", "DeregisterImage", 0, notFound, ""},
	{"InvalidAMIID.Unavailable", "DeregisterImage", 0, notFound, ""},
	{"InvalidSnapshot.NotFound", "DeleteSnapshot", 0, notFound, ""},
	{"InvalidVolume.NotFound", "DeleteVolume", 0, notFound, ""},
	{"DependencyViolation", "DeleteSecurityGroup", 0, transient, "an instance or a network interface still uses the group"},
	{"InvalidGroup.InUse", "DeleteSecurityGroup", 0, transient, "an instance or a network interface still uses the group"},
	{"InvalidSnapshot.InUse", "DeleteSnapshot", 0, transient, "an image still uses the snapshot"},
	{"VolumeInUse", "AttachVolume", 0, transient, "an instance still uses the volume"},
	{"VolumeInUse", "DeleteVolume", 0, transient, "an instance still uses the volume"},

	{"DeleteConflict", "", 0, transient, "something else still uses it"},

	{"NoSuchUpload", "", 0, notFound, ""},
	{"NotFound", "HeadObject", 0, notFound, ""},
	{"IncorrectState", "CancelImportTask", 0, alreadyExists, ""}, // it has come to an end

	// Not visible everywhere yet; an old one that is missing stays missing.
	{"InvalidInstanceID.NotFound", "", young, transient, ""},
	{"InvalidGroup.NotFound", "", young, transient, ""},
	{"InvalidKeyPair.NotFound", "", young, transient, ""},
	{"InvalidAMIID.NotFound", "", young, transient, ""},
	{"InvalidAMIID.Unavailable", "", young, transient, ""},
	{"InvalidSnapshot.NotFound", "", young, transient, ""},
	{"InvalidVolume.NotFound", "", young, transient, ""},
	{"NoSuchEntity", "", young, transient, ""},
	{"NoSuchEntity", "", 0, notFound, ""},
	{"InvalidConversionTaskId*", "", 0, notFound, ""},
	{"InvalidInstanceID.NotFound", "", 0, notFound, ""},
	{"InvalidGroup.NotFound", "", 0, notFound, "the security group does not exist in this region"},
	{"InvalidKeyPair.NotFound", "", 0, notFound, "the key pair does not exist in this region"},
	{"InvalidAMIID.NotFound", "", 0, notFound, "look whether the image exists in this region and whether you may use it"},
	{"InvalidSnapshot.NotFound", "", 0, notFound, ""},
	{"InvalidVolume.NotFound", "", 0, notFound, ""},

	// States that change by themselves.
	{"IncorrectInstanceState", "", 0, transient, ""},
	{"IncorrectState", "", 0, transient, ""},
	{"InvalidInstanceID", "CreateImage", young, transient, ""},
	{"SnapshotCreationPerVolumeRateExceeded", "", 0, transient, ""},
	{"ConcurrentSnapshotLimitExceeded", "", 0, transient, ""},
	{"PendingSnapshotLimitExceeded", "", 0, transient, ""},
	{"ResourceLimitExceeded", "CopyImage", 0, transient, ""},
	{"ConcurrentModification", "", 0, transient, ""},
	{"EntityTemporarilyUnmodifiable", "", 0, transient, ""},
	{"LimitExceeded", "AddRoleToInstanceProfile", 0, transient, ""}, // a role that was taken out is seen for a while

	// No capacity.
	{"InsufficientInstanceCapacity", "RunInstances", 0, noCapacity, "give several instance_types, or try another availability_zone or subnet"},
	{"InsufficientHostCapacity", "RunInstances", 0, noCapacity, "try another host or availability_zone"},
	{"InsufficientFreeAddressesInSubnet", "RunInstances", 0, noCapacity, "choose a subnet with free addresses"},
	{"SpotMaxPriceTooLow", "RunInstances", 0, noCapacity, "raise spot_price, or set it to auto"},
	{"MaxSpotInstanceCountExceeded", "RunInstances", 0, noCapacity, "end a spot instance or ask AWS for a higher limit"},
	{"Unsupported", "RunInstances", 0, noCapacity, "look whether the zone offers the instance_type and whether it fits the image"},
	{"InstanceLimitExceeded", "", 0, permanent, "end an instance or ask AWS for a higher limit"},
	{"VcpuLimitExceeded", "", 0, permanent, "end an instance or ask AWS for a higher limit"},

	// Who calls is not known or may not do it.
	{"AuthFailure", "", 0, unauthorized, "look at the credentials: the access key, the secret key, this machine's clock, and whether the region is enabled in your AWS account"},
	{"InvalidClientTokenId", "", 0, unauthorized, "the access key does not exist: look at the credentials"},
	{"SignatureDoesNotMatch", "", 0, unauthorized, "the secret key is wrong, or this machine's clock"},
	{"RequestExpired", "", 0, unauthorized, "this machine's clock is wrong"},
	{"ExpiredToken*", "", 0, unauthorized, "get new credentials, then resume"},
	{"UnauthorizedOperation", "", 0, unauthorized, "the credentials lack this permission"},
	{"AccessDenied*", "", 0, unauthorized, "the credentials lack this permission"},

	{"UnrecognizedClientException", "", 0, unauthorized, "the access key does not exist: look at the credentials"},
	{"InvalidSignatureException", "", 0, unauthorized, "the secret key is wrong, or this machine's clock"},

	{"InvalidAccessKeyId", "", 0, unauthorized, "the access key does not exist: look at the credentials"},
	{"RequestTimeTooSkewed", "", 0, unauthorized, "this machine's clock is wrong"},

	// What an import needs.
	{"NoSuchBucket", "", 0, permanent, "look at s3_bucket_name: the bucket has to be there"},
	{"NotFound", "HeadBucket", 0, permanent, "look at s3_bucket_name: the bucket has to be there"},
	{"PermanentRedirect", "", 0, permanent, "set region to that of the bucket"},
	{"AuthorizationHeaderMalformed", "", 0, permanent, "set region to that of the bucket"},
	{"XAmzContentSHA256Mismatch", "", 0, permanent, "was the file changed meanwhile? Resume when it is as it shall be"},

	// What sessions take.
	{"DoesNotExistException", "", 0, notFound, ""},
	{"TargetNotConnected", "", 0, transient, "the agent of the machine has not connected to Session Manager"},

	// What data sources read.
	{"ParameterNotFound", "GetParameter", 0, permanent, "look at name and at the region"},
	{"ParameterVersionNotFound", "GetParameter", 0, permanent, "look at what follows the colon in name"},
	{"ResourceNotFoundException", "GetSecretValue", 0, permanent, "look at name, version_id, version_stage and the region"},

	// What only the user can mend.
	{"OptInRequired", "", 0, permanent, "accept the terms of the image or enable the region in your AWS account"},
	{"OperationNotPermitted", "TerminateInstances", 0, permanent, "termination protection is on: switch it off"},
	{"VPCIdNotSpecified", "", 0, permanent, "there is no default VPC: set vpc_id and subnet_id"},
	{"MissingInput", "RunInstances", 0, permanent, "there is no default subnet: set subnet_id"},
	{"MalformedPolicyDocument", "PutRolePolicy", 0, permanent, "look at temporary_iam_instance_profile_policy_document"},
	{"LimitExceeded", "PutRolePolicy", 0, permanent, "the policy of a role has at most 10,240 characters"},
	{"InvalidSubnetID.NotFound", "", 0, permanent, "look at subnet_id"},
	{"InvalidVpcID.NotFound", "", 0, permanent, "look at vpc_id"},
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

// classify looks an error up. Age is that of the youngest thing that the call spoke
// of; one that cannot have been made by this run is old.
func classify(call string, age time.Duration, err error) rule {
	code, _ := apiError(err)
	for _, r := range rules {
		stem, wild := strings.CutSuffix(r.code, "*")
		if (code == r.code || wild && strings.HasPrefix(code, stem)) && (r.call == "" || r.call == call) && (r.younger == 0 || age < r.younger) {
			return r
		}
	}
	if isTransient(err) {
		return rule{class: transient}
	}
	return rule{}
}

// isTransient reports whether the network or EC2 itself had trouble that passes.
func isTransient(err error) bool {
	if errors.Is(err, context.Canceled) || noMetadata(err) {
		return false
	}
	var garbled *smithy.DeserializationError // a number that is none, for one
	return errors.As(err, &garbled) || retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err).Bool()
}

func isThrottled(err error) bool {
	code, _ := apiError(err)
	_, ok := retry.DefaultThrottleErrorCodes[code]
	return ok
}

// old is the age of what this run did not make.
const old = 1000 * time.Hour

// since is the age of a thing made at t.
func since(t time.Time) time.Duration { return time.Since(t) }

// wrapAPI words the error of a call: what could not be done, what EC2 said, what to
// do. A transient one is marked for a retry; a notFound one is dag.ErrNotFound.
func wrapAPI(doing, call string, age time.Duration, err error) error {
	if err == nil {
		return nil
	}
	r := classify(call, age, err)
	text := &Error{Doing: doing, Call: call, Advice: r.advice, Err: err, class: r.class}
	text.Code, text.Message = apiError(err)
	var ended *expiredError
	if errors.As(err, &ended) {
		text.Advice, text.expired = "the credentials have expired: "+ended.renew+", then resume the run", true
	}
	if strings.Contains(text.Message, "valid region") {
		text.Advice = "look at region: the endpoint that was called belongs to another one"
	}
	if call == "RunInstances" && isProfile(text.Message) {
		text.Advice = "look whether iam_instance_profile exists"
	}
	if call == "ImportImage" && strings.Contains(strings.ToLower(text.Message), "role") {
		text.Advice = "VM Import takes the role that role_name names, vmimport if it is not given; it has to be there, to trust vmie.amazonaws.com, and to be allowed to read the bucket"
	}
	switch r.class {
	case transient:
		return dag.Retry(text, 0)
	case notFound:
		text.notFound = true
	}
	return text
}

// asNotMade is wrapAPI for the call that makes a step's thing. Where the caller is
// unauthorized, and no earlier attempt of the call may have had an effect, the error
// is dag.NotMade: it proves that nothing was made.
func asNotMade(doing, call string, age time.Duration, err error) error {
	f := wrapAPI(doing, call, age, err)
	var before *ambiguousError
	if (classify(call, age, err).class == unauthorized || noCredentials(err)) && !errors.As(err, &before) {
		return dag.NotMade(f)
	}
	return f
}

// ambiguousError is the last error of a call of which an earlier attempt may have
// had an effect.
type ambiguousError struct{ error }

func (e *ambiguousError) Unwrap() error { return e.error }

// noCredentials reports whether the call was never sent, since nobody could sign it.
func noCredentials(err error) bool {
	code, _ := apiError(err)
	return code == "" && (strings.Contains(err.Error(), "get identity") || strings.Contains(err.Error(), "refresh cached credentials"))
}

// noMetadata reports whether the last place to look for credentials, the metadata
// service of an EC2 instance, cannot be connected to: then this is none, or one
// that may not ask, and that does not pass.
func noMetadata(err error) bool {
	var dial *net.OpError
	return noCredentials(err) && strings.Contains(err.Error(), "no EC2 IMDS role found") && errors.As(err, &dial) && dial.Op == "dial"
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

	class    errorClass
	notFound bool
	expired  bool // the credentials have
}

// ErrCode is the code of the failure.
func (e *Error) ErrCode() errcode.Code {
	switch {
	case e.expired:
		return errcode.CredentialsExpired
	case noCredentials(e.Err):
		return errcode.NoCredentials
	case e.Code == "" && (isCall(e.Err) || isNoReply(e.Err)):
		return errcode.CloudNoAnswer
	case isThrottled(e.Err):
		return errcode.Throttled
	case strings.HasSuffix(e.Code, "LimitExceeded"):
		return errcode.QuotaReached
	case strings.HasSuffix(e.Code, ".Duplicate"):
		return errcode.NameTaken
	case e.class == unauthorized:
		return errcode.Unauthorized
	case e.class == noCapacity:
		return errcode.NoCapacity
	case e.class == notFound, strings.HasSuffix(e.Code, "NotFound"), strings.HasSuffix(e.Code, ".Unavailable"):
		return errcode.CloudNotFound
	}
	return errcode.CloudRefused
}

func (e *Error) Error() string {
	text := "cannot " + e.Doing + ": "
	var vault *vaultError
	switch {
	case e.Code != "":
		message, _, _ := strings.Cut(e.Message, encodedPart)
		if text += e.Code; message != "" {
			text += ": " + strings.TrimSuffix(clip(message, 400), ".")
		}
		if lacksPermission(e.Code) {
			return text + " (the credentials lack the permission " + e.denied() + ")"
		}
	case errors.As(e.Err, &vault):
		text += vault.Error()
	case noCredentials(e.Err) && !e.expired:
		return text + "no usable AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or access_key and secret_key in the template (" + clip(innermost(e.Err), 300) + ")"
	default:
		text += clip(innermost(e.Err), 300)
	}
	if e.Advice != "" {
		text += " (" + e.Advice + ")"
	}
	return text
}

// refusedAction is how AWS names in words what it has refused.
var refusedAction = regexp.MustCompile(`is not authorized to perform: ([a-zA-Z0-9-]{1,40}:[a-zA-Z]{1,80}) on resource: "?(arn:[!-~]+|\*)`)

// longestResource is how long the ARN is at most that an error names.
const longestResource = 600

// denied says what was refused, and the statement that allows it. AWS tells it in words; where
// it does not, the call does.
func (e *Error) denied() string {
	m := refusedAction.FindStringSubmatch(e.Message)
	if m == nil || len(m[2]) > longestResource {
		return e.permission()
	}
	action, on := m[1], strings.TrimRight(m[2], `".,`)
	if strings.Contains(e.Message, "explicit deny") {
		return fmt.Sprintf("%s on %s: a policy denies it, which no statement can make good", action, on)
	}
	raw, _ := json.Marshal(Statement{Sid: "Add", Effect: "Allow", Action: []string{action}, Resource: []string{allLike(on)}}) // texts always marshal
	return fmt.Sprintf("%s on %s: add %s, or all that %s prints", action, on, raw, self.Command("policy", "TEMPLATE"))
}

// allLike is the resource with those that a later run makes in its place.
func allLike(arn string) string {
	if i := strings.LastIndex(arn, "/"); strings.Contains(arn, ":iam:") && strings.Contains(arn, iamRoot) {
		return arn[:i] + "/*"
	}
	if before, id, ok := strings.Cut(arn, "/"); ok && strings.Contains(before, ":ec2:") && id != "*" && !strings.HasSuffix(before, ":subnet") && !strings.HasSuffix(before, ":vpc") {
		return before + "/*"
	}
	return arn
}

// permission is what a call takes.
func (e *Error) permission() string {
	switch {
	case refusedRole(e.Err):
		return "sts:AssumeRole"
	case strings.Contains(e.Message, "kms:Decrypt"):
		return "kms:Decrypt"
	case e.Call == "DescribeKey":
		return "kms:" + e.Call
	case e.Call == "GetParameter", e.Call == "PutParameter", e.Call == "LabelParameterVersion", strings.HasSuffix(e.Call, "Session"), strings.HasSuffix(e.Call, "Sessions"):
		return "ssm:" + e.Call
	case e.Call == "GetSecretValue":
		return "secretsmanager:" + e.Call
	case s3Permissions[e.Call] != "":
		return "s3:" + s3Permissions[e.Call]
	}
	if slices.Contains(iamCalls, e.Call) {
		return "iam:" + e.Call
	}
	return "ec2:" + e.Call
}

func (e *Error) Unwrap() []error {
	if e.notFound {
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
