package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
)

// BeginUpload begins to put a file that was made into a bucket, in parts: what has
// arrived of it stays there when the run is interrupted.
type BeginUpload struct {
	Place
	Of            dag.Out[steps.Product] `json:"of"`
	Bucket        string                 `json:"bucket"`
	Object        dag.Text               `json:"object,omitempty"` // its key; empty is one of this making's own
	Format        string                 `json:"format,omitempty"` // of the file; empty is that of the first which has one
	Encryption    string                 `json:"encryption,omitempty"`
	EncryptionKey string                 `json:"encryption_key,omitempty"`
	Repeat        int                    `json:"repeat,omitempty"` // tells it from one that is like it in all

	// What only has to come first.
	Checked dag.Out[CheckedBucket] `json:"checked" key:"-"`
	Free    dag.Out[Namesakes]     `json:"free" key:"-"`
}

// Upload is an object that comes in parts.
type Upload struct {
	Place
	Bucket string `json:"bucket"`
	Object string `json:"object"` // its key
	ID     string `json:"id"`
	Token  string `json:"token"` // the object will carry it
	File   string `json:"file"`  // as the template names it
	Format string `json:"format"`
}

// formats are those of the disks that VM Import takes, which are the endings of files,
// too.
var formats = []string{"ova", "raw", "vmdk", "vhd", "vhdx"}

// tokenHeader has S3 keep the token of a making with the object.
const tokenHeader = "X-Amz-Meta-Imgflow-Token"

// longestObject is S3's limit for a key, in bytes.
const longestObject = 1024

func (BeginUpload) Kind() string    { return "aws.upload" }
func (s BeginUpload) Title() string { return "begin to upload the disk to " + s.Bucket }

// Do asks for the upload, or goes on with one that an earlier attempt has begun.
func (s BeginUpload) Do(ctx context.Context, c *Cloud, t *dag.Task) (Upload, error) {
	if u, err := (Upload{}).Find(ctx, c, t); !errors.Is(err, dag.ErrNotFound) {
		return u, err
	}
	u, err := s.plan(c, t)
	if err != nil {
		return Upload{}, dag.NotMade(err)
	}
	if err := t.Save("upload", u); err != nil {
		return Upload{}, dag.NotMade(err)
	}
	call := s3Call{operation: "CreateMultipartUpload", method: http.MethodPost, bucket: u.Bucket, key: u.Object, query: url.Values{"uploads": {""}},
		header: map[string]string{tokenHeader: t.Token}}
	if s.Encryption != "" {
		call.header["X-Amz-Server-Side-Encryption"] = s.Encryption
	}
	if s.Encryption == "aws:kms" && s.EncryptionKey != "" {
		call.header["X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"] = s.EncryptionKey
	}
	var made struct{ UploadId string }
	reply, err := c.callS3(ctx, s.Place, call, func(r s3Reply) bool {
		return decodeS3(r, "InitiateMultipartUploadResult", &made) && made.UploadId != ""
	})
	if err != nil {
		return Upload{}, asNotMade("begin to upload "+u.File+" to s3://"+u.Bucket+"/"+u.Object, "CreateMultipartUpload", old, err)
	}
	u.ID = made.UploadId
	if reply.attempts > 1 && u.own() { // an attempt whose reply was lost may have begun another
		if _, err := u.alone(ctx, c); err != nil {
			return Upload{}, err
		}
	}
	return u, nil
}

// own reports whether the key is of this making alone.
func (u Upload) own() bool { return strings.Contains(u.Object, u.Token) }

// plan chooses the file and the key of the object.
func (s BeginUpload) plan(c *Cloud, t *dag.Task) (Upload, error) {
	of := s.Of.Value()
	u := Upload{Place: s.Place, Bucket: s.Bucket, Token: t.Token, Format: s.Format}
	for _, file := range of.Files {
		format := strings.ToLower(strings.TrimPrefix(filepath.Ext(file), "."))
		if format != "" && format == s.Format || s.Format == "" && slices.Contains(formats, format) {
			u.File, u.Format = file, format
			break
		}
	}
	switch {
	case u.File == "" && len(of.Files) == 0:
		return u, errors.New("cannot import a disk: what was made has no files; artifice before it says which are meant")
	case u.File == "" && s.Format == "":
		return u, fmt.Errorf("cannot import a disk: none of the files that were made ends in .%s: %s; artifice before it says which are meant", strings.Join(formats, ", ."), list(of.Files))
	case u.File == "":
		return u, fmt.Errorf("cannot import a disk: none of the files that were made ends in .%s: %s; look at format", s.Format, list(of.Files))
	}
	if _, err := c.disk(u.File); err != nil {
		return u, err
	}
	u.Object = "packer-import-" + t.Token + "." + u.Format
	if s.Object != "" {
		var err error
		if u.Object, err = (steps.BuildValues{Task: t, Machine: of.Machine}).Render("s3_key_name", s.Object, nil); err != nil {
			return u, err
		}
	}
	if why := wrongObject(u.Object); why != "" {
		return u, fmt.Errorf("cannot use s3_key_name: %s", why)
	}
	return u, nil
}

// disk looks at a file that is to be imported.
func (c *Cloud) disk(file string) (os.FileInfo, error) {
	info, err := os.Stat(c.local(file))
	if err == nil {
		err = localfile.Special(file, info)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot import %s: %w", file, err)
	case info.IsDir():
		return nil, fmt.Errorf("cannot import %s: it is a directory", file)
	case info.Size() == 0:
		return nil, fmt.Errorf("cannot import %s: it is empty", file)
	case info.Size() > maxObject:
		return nil, fmt.Errorf("cannot import %s: it has %d bytes, and S3 takes %d", file, info.Size(), int64(maxObject))
	}
	return info, nil
}

// local is where a path of a template leads.
func (c *Cloud) local(path string) string { return c.o.Away.Local(c.o.Dir, path) }

// Find looks for the upload by its id. One whose beginning was interrupted is found by
// its key, if that is of this making alone; else it has no parts, and costs nothing.
func (u Upload) Find(ctx context.Context, c *Cloud, t *dag.Task) (Upload, error) {
	if u.ID == "" {
		if begun, err := t.Load("upload", &u); err != nil || !begun || !u.own() {
			return Upload{}, errors.Join(err, dag.ErrNotFound)
		}
		return u.alone(ctx, c)
	}
	_, err := c.callS3(ctx, u.Place, s3Call{operation: "ListParts", method: http.MethodGet, bucket: u.Bucket, key: u.Object,
		query: url.Values{"uploadId": {u.ID}, "max-parts": {"1"}}}, func(r s3Reply) bool { return decodeS3(r, "ListPartsResult", new(struct{})) })
	if code, _ := apiError(err); lacksPermission(code) {
		return u, nil // the parts will tell
	}
	return u, wrapAPI("look for the upload of "+u.File, "ListParts", old, err)
}

// alone leaves one upload under a key of its own: this one, or any where its id is not known.
func (u Upload) alone(ctx context.Context, c *Cloud) (Upload, error) {
	var found struct {
		Upload []struct{ Key, UploadId string }
	}
	_, err := c.callS3(ctx, u.Place, s3Call{operation: "ListMultipartUploads", method: http.MethodGet, bucket: u.Bucket,
		query: url.Values{"uploads": {""}, "prefix": {u.Object}}}, func(r s3Reply) bool { return decodeS3(r, "ListMultipartUploadsResult", &found) })
	if code, _ := apiError(err); lacksPermission(code) {
		err = nil // what is not told has no parts
	}
	if err != nil {
		return Upload{}, wrapAPI("look for the upload of "+u.File, "ListMultipartUploads", old, err)
	}
	for _, f := range found.Upload {
		switch {
		case f.Key != u.Object || f.UploadId == u.ID:
		case u.ID == "":
			u.ID = f.UploadId
		default:
			other := u
			other.ID = f.UploadId
			if err := other.Undo(ctx, c, nil); err != nil {
				return Upload{}, err
			}
		}
	}
	if u.ID == "" {
		return Upload{}, dag.ErrNotFound
	}
	return u, nil
}

// Undo gives up the upload with its parts. After its end it is there no more.
func (u Upload) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	_, err := c.callS3(ctx, u.Place, s3Call{operation: "AbortMultipartUpload", method: http.MethodDelete, bucket: u.Bucket, key: u.Object,
		query: url.Values{"uploadId": {u.ID}}}, nil)
	return gone("give up the upload of "+u.File, "AbortMultipartUpload", err)
}

// Label says where its parts are.
func (u Upload) Label() string { return "upload to s3://" + u.Bucket + "/" + u.Object }
