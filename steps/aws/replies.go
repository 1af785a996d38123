package aws

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	awsmiddle "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Every reply is read whole before anything of it is believed, and no more of it
// than this, decoded.
const (
	maxReply   = 16 << 20  // bytes: some 6,000 images
	maxRefusal = 64 << 10  // bytes of a reply that is an error
	maxOther   = 1 << 20   // bytes of one that is neither EC2's nor STS's
	maxHeaders = 256 << 10 // bytes
)

// replyError is a reply that is not one.
type replyError struct {
	text      string
	retryable bool // the next reply may be whole
}

func (e *replyError) Error() string        { return e.text }
func (e *replyError) RetryableError() bool { return e.retryable }

// isNoReply reports whether what came was not a reply.
func isNoReply(err error) bool {
	var e *replyError
	return errors.As(err, &e)
}

// everyClient is what belongs into every client: those of EC2 and STS, and those
// that find credentials.
var everyClient = []func(*middleware.Stack) error{SafeBodies, replies, spans}

// replies makes a client take no reply for an answer that broke off, has no end,
// or is not the service's own, as those of a proxy are.
func replies(stack *middleware.Stack) error {
	err := stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc(boundReplies, readReply), middleware.After)
	if err != nil {
		return err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("imgflow whole", wholeReply), middleware.Before)
}

const boundReplies = "imgflow bound replies"

func readReply(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, meta, err := next.HandleDeserialize(ctx, in)
	r, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok {
		return out, meta, err
	}
	call, good := cmp.Or(awsmiddle.GetOperationName(ctx), "the request for credentials"), r.StatusCode/100 == 2
	speaksXML := slices.Contains([]string{ec2.ServiceID, "STS"}, awsmiddle.GetServiceID(ctx))
	limit := maxRefusal
	switch {
	case good && speaksXML:
		limit = maxReply
	case good:
		limit = maxOther
	}
	body, err := readBody(ctx, r.Body, limit+1, func(begun []byte) bool { return speaksXML && cannotComplete(begun) })
	r.Body.Close() // at once: what is left of it is not wanted
	r.Body = io.NopCloser(bytes.NewReader(body))
	long := len(body) > limit
	switch {
	case ctx.Err() != nil:
		return out, meta, &smithy.CanceledError{Err: ctx.Err()}
	case long && good:
		return out, meta, &replyError{fmt.Sprintf("the reply to %s is longer than %d MiB", call, limit>>20), false}
	case err != nil || !long && speaksXML && truncated(body):
		return out, meta, &replyError{fmt.Sprintf("the reply to %s broke off after %d bytes", call, len(body)), true}
	case good && speaksXML:
		return out, meta, checkXML(ctx, call, r.Response, body)
	case speaksXML && (long || !isRefusal(body)):
		return out, meta, unexpectedReply(r.Response, "AWS's", body)
	}
	return out, meta, nil
}

// cannotComplete reports whether a body that begins so is no reply however it ends.
func cannotComplete(begun []byte) bool {
	_, _, err := scanXML(begun)
	return err != nil && !errors.Is(err, errTruncated)
}

// truncated reports whether a body is the beginning of a reply of EC2's or STS's.
func truncated(body []byte) bool {
	root, _, err := scanXML(body)
	return errors.Is(err, errTruncated) && strings.HasSuffix(root, "Response")
}

// checkXML looks whether a body is a reply to the call.
func checkXML(ctx context.Context, call string, r *http.Response, body []byte) error {
	switch root, items, err := scanXML(body); {
	case root != call+"Response":
		return unexpectedReply(r, "a "+call+"Response", body)
	case err != nil:
		return &replyError{fmt.Sprintf("the reply to %s %v", call, err), false}
	default:
		return listed(ctx).take(call, len(body), items)
	}
}

// isRefusal reports whether a body has an error code of EC2's or STS's kind.
func isRefusal(body []byte) bool {
	var r struct {
		EC2 string `xml:"Errors>Error>Code"`
		STS string `xml:"Error>Code"`
	}
	if _, _, err := scanXML(body); err != nil {
		return false
	}
	return xml.Unmarshal(body, &r) == nil && r.EC2+r.STS != ""
}

// unexpectedReply describes a reply of somebody else's by its status and its first words.
func unexpectedReply(r *http.Response, whose string, body []byte) error {
	text := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", r.StatusCode, http.StatusText(r.StatusCode))) + ", with "
	if len(bytes.TrimSpace(body)) == 0 {
		text += "an empty body"
	} else {
		text += "a body that is not " + whose
	}
	if words := words(body); words != "" {
		text += fmt.Sprintf(": %q", words)
	}
	passes := r.StatusCode/100 == 2 || r.StatusCode >= 500 || r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusRequestTimeout
	return &replyError{text, passes}
}

// words are the first of a page, without its marks.
func words(page []byte) string {
	var b strings.Builder
	for rest := string(page[:min(len(page), 4096)]); rest != "" && b.Len() < 400; {
		text, mark, _ := strings.Cut(rest, "<")
		b.WriteString(text + " ")
		_, rest, _ = strings.Cut(mark, ">")
	}
	return clip(strings.ToValidUTF8(strings.Join(strings.Fields(b.String()), " "), "?"), 120)
}

// wholeReply refuses a reply in which what was made, or what is listed, has no id:
// nobody could find or remove it. Whoever calls again gets the same thing by its
// client token, or hears that its name is taken and looks for it.
func wholeReply(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	large := &largeLock{}
	defer large.end()
	out, meta, err := next.HandleDeserialize(context.WithValue(ctx, largeKey{}, large), in)
	if r, ok := out.RawResponse.(*smithyhttp.Response); ok {
		r.Body = http.NoBody // it has been decoded
	}
	if err == nil {
		if what := missingID(out.Result); what != "" {
			err = &replyError{fmt.Sprintf("the reply to %s names no %s", awsmiddle.GetOperationName(ctx), what), true}
		}
	}
	return out, meta, err
}

// missingID is what a reply lists or makes without an id, or "".
func missingID(reply any) string {
	without := func(what string, missing bool) string {
		if missing {
			return what
		}
		return ""
	}
	switch r := reply.(type) {
	case *ec2.RunInstancesOutput:
		return without("instance", len(r.Instances) == 0 || slices.ContainsFunc(r.Instances, incomplete))
	case *ec2.CreateImageOutput:
		return without("image", text(r.ImageId) == "")
	case *ec2.RegisterImageOutput:
		return without("image", text(r.ImageId) == "")
	case *ec2.CreateSnapshotOutput:
		return without("snapshot", text(r.SnapshotId) == "")
	case *ec2.CopyImageOutput:
		return without("image", text(r.ImageId) == "")
	case *ec2.CreateLaunchTemplateVersionOutput:
		return without("version", r.LaunchTemplateVersion == nil || r.LaunchTemplateVersion.VersionNumber == nil)
	case *ec2.DescribeLaunchTemplateVersionsOutput:
		return without("version", len(r.LaunchTemplateVersions) == 0 || slices.ContainsFunc(r.LaunchTemplateVersions, func(v types.LaunchTemplateVersion) bool { return v.VersionNumber == nil }))
	case *ec2.CreateSecurityGroupOutput:
		return without("security group", text(r.GroupId) == "")
	case *ec2.ImportKeyPairOutput:
		return without("key pair", text(r.KeyPairId) == "")
	case *ec2.ImportImageOutput:
		return without("import task", text(r.ImportTaskId) == "")
	case *ec2.DescribeImportImageTasksOutput:
		return without("import task", slices.ContainsFunc(r.ImportImageTasks, func(i types.ImportImageTask) bool { return text(i.ImportTaskId) == "" }))
	case *ec2.DescribeInstancesOutput:
		return without("instance", slices.ContainsFunc(r.Reservations, func(r types.Reservation) bool { return slices.ContainsFunc(r.Instances, incomplete) }))
	case *ec2.DescribeImagesOutput:
		return without("image", slices.ContainsFunc(r.Images, func(i types.Image) bool { return text(i.ImageId) == "" }))
	case *ec2.DescribeInstanceConnectEndpointsOutput:
		return without("endpoint", slices.ContainsFunc(r.InstanceConnectEndpoints, func(e types.Ec2InstanceConnectEndpoint) bool {
			return text(e.InstanceConnectEndpointId) == "" || text(e.DnsName) == ""
		}))
	case *ec2.DescribeSnapshotsOutput:
		return without("snapshot", slices.ContainsFunc(r.Snapshots, func(s types.Snapshot) bool { return text(s.SnapshotId) == "" }))
	case *ec2.DescribeVolumesOutput:
		return without("volume", slices.ContainsFunc(r.Volumes, func(v types.Volume) bool { return text(v.VolumeId) == "" }))
	case *ec2.DescribeKeyPairsOutput:
		return without("key pair", slices.ContainsFunc(r.KeyPairs, func(k types.KeyPairInfo) bool { return text(k.KeyPairId) == "" }))
	case *ec2.DescribeSecurityGroupsOutput:
		return without("security group", slices.ContainsFunc(r.SecurityGroups, func(g types.SecurityGroup) bool { return text(g.GroupId) == "" }))
	case *ec2.DescribeSubnetsOutput:
		return without("subnet", slices.ContainsFunc(r.Subnets, func(s types.Subnet) bool { return text(s.SubnetId) == "" }))
	case *ec2.DescribeVpcsOutput:
		return without("VPC", slices.ContainsFunc(r.Vpcs, func(v types.Vpc) bool { return text(v.VpcId) == "" }))
	case *ec2.DescribeTagsOutput:
		return without("resource", slices.ContainsFunc(r.Tags, func(t types.TagDescription) bool { return text(t.ResourceId) == "" }))
	}
	return ""
}

// incomplete is an instance without an id or a state.
func incomplete(i types.Instance) bool { return text(i.InstanceId) == "" || i.State == nil }
