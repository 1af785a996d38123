package aws

import (
	"context"
	"net/http"

	"github.com/imgflow/imgflow/dag"
)

// CheckBucket finds out early whether a bucket is there, and in the region.
type CheckBucket struct {
	Place
	Bucket string `json:"bucket"`

	Access dag.Out[CheckedAccess] `json:"granted" key:"-"` // what only has to come first
}

// CheckedBucket says that it is, as far as the credentials let anybody know.
type CheckedBucket struct{}

func (CheckBucket) Kind() string    { return "aws.bucket" }
func (s CheckBucket) Title() string { return "look for the bucket " + s.Bucket }

// Do asks for the bucket. Whoever may not ask may put objects into it all the same.
func (s CheckBucket) Do(ctx context.Context, c *Cloud, t *dag.Task) (CheckedBucket, error) {
	_, err := c.callS3(ctx, s.Place, s3Call{operation: "HeadBucket", method: http.MethodHead, bucket: s.Bucket}, nil)
	if code, _ := apiError(err); lacksPermission(code) {
		t.Detail("the credentials may not ask for the bucket %s", s.Bucket)
		err = nil
	}
	return CheckedBucket{}, wrapAPI("use the bucket "+s.Bucket, "HeadBucket", old, err)
}
