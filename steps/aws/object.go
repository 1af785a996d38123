package aws

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// UploadObject sends the parts of a file, and makes an object of them.
type UploadObject struct {
	Upload dag.Out[Upload] `json:"upload"`
}

// Object is a file in a bucket.
type Object struct {
	Place
	Bucket string `json:"bucket"`
	Object string `json:"object"` // its key
	Token  string `json:"token"`  // that it carries
	Format string `json:"format"`

	File     string    `json:"file"` // that was uploaded, as the template names it
	Size     int64     `json:"size"` // bytes
	Modified time.Time `json:"modified"`
}

func (UploadObject) Kind() string  { return "aws.object" }
func (UploadObject) Title() string { return "upload the disk" }

// Patience covers a connection that is away for a while: what has arrived stays.
func (UploadObject) Patience() time.Duration { return 30 * time.Minute }

// S3 takes parts of 5 MiB to 5 GiB, of which an object has up to 10,000. There are fewer
// here, since each is noted in the record.
const (
	leastPart = 16 << 20 // bytes
	mostParts = 2000
	maxObject = 5 << 40 // bytes
)

// partsAtOnce are under way together: one alone does not fill a long line.
const partsAtOnce = 4

// part is one that has arrived. Its content says whether it is that of the file.
type part struct {
	Sum  string `json:"sum"`  // SHA-256, hexadecimal
	ETag string `json:"etag"` // what S3 calls it
}

// Do goes on where an earlier attempt was interrupted: a part that has arrived is not
// sent again, unless the file holds something else there.
func (s UploadObject) Do(ctx context.Context, c *Cloud, t *dag.Task) (Object, error) {
	u := s.Upload.Value()
	info, err := c.disk(u.File)
	if err != nil {
		return Object{}, err
	}
	o := Object{u.Place, u.Bucket, u.Object, u.Token, u.Format, u.File, info.Size(), info.ModTime().UTC()}
	if err := t.Save("object", o); err != nil {
		return Object{}, err
	}
	f, err := os.Open(c.local(u.File))
	if err != nil {
		return Object{}, fmt.Errorf("cannot import %s: %w", u.File, err)
	}
	defer f.Close()
	x := &sending{c: c, t: t, u: u, f: f, total: info.Size(), parts: map[int]part{}}
	if _, err := t.Load("parts", &x.parts); err != nil {
		return Object{}, err
	}
	t.Say("uploading %s to s3://%s/%s", u.File, u.Bucket, u.Object)
	if err := x.send(ctx); err != nil {
		return Object{}, err
	}
	if now, err := f.Stat(); err != nil || now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime()) {
		return Object{}, dag.Retry(errors.Join(fmt.Errorf("cannot upload %s: it was changed meanwhile", u.File), err), 0)
	}
	return o, x.complete(ctx, o)
}

// sending is an upload under way.
type sending struct {
	c     *Cloud
	t     *dag.Task
	u     Upload
	f     io.ReaderAt
	total int64

	mu    sync.Mutex
	parts map[int]part // by number, from 1 on
	done  int64        // bytes
}

func (x *sending) partSize() int64 {
	const whole = 1 << 20
	return max(leastPart, (x.total/mostParts+whole)/whole*whole)
}

func (x *sending) count() int { return int((x.total + x.partSize() - 1) / x.partSize()) }

// send sends all parts. After an error it begins with no other, and what is under way comes
// to its end.
func (x *sending) send(ctx context.Context) error {
	errs := make(chan error, partsAtOnce)
	under, first := 0, error(nil)
	ended := func() {
		if err := <-errs; first == nil {
			first = err
		}
		under--
	}
	for n := 1; n <= x.count() && first == nil && ctx.Err() == nil; n++ {
		if under == partsAtOnce {
			ended()
		}
		if first == nil {
			under++
			go func() { errs <- x.part(ctx, n) }()
		}
	}
	for under > 0 {
		ended()
	}
	return cmp.Or(first, ctx.Err())
}

// part sends a part, if it is not there, and notes it.
func (x *sending) part(ctx context.Context, n int) error {
	from := int64(n-1) * x.partSize()
	size := min(x.partSize(), x.total-from)
	content := io.NewSectionReader(x.f, from, size)
	h := sha256.New()
	if got, err := io.Copy(h, &unlessDone{ctx, content}); err != nil || got != size {
		return errors.Join(fmt.Errorf("cannot read %s: it ends after %d bytes", x.u.File, from+got), err)
	}
	call := s3Call{operation: "UploadPart", method: http.MethodPut, bucket: x.u.Bucket, key: x.u.Object, body: content, size: size,
		query: url.Values{"uploadId": {x.u.ID}, "partNumber": {strconv.Itoa(n)}}}
	h.Sum(call.sum[:0])
	sum := hex.EncodeToString(call.sum[:])
	x.mu.Lock()
	there := x.parts[n]
	x.mu.Unlock()
	if there.Sum != sum {
		reply, err := x.c.callS3(ctx, x.u.Place, call, func(r s3Reply) bool { return r.Get("ETag") != "" })
		if err != nil {
			return wrapAPI(fmt.Sprintf("upload %s, part %d of %d", x.u.File, n, x.count()), call.operation, old, err)
		}
		there = part{sum, clip(reply.Get("ETag"), 200)}
	}
	return x.note(n, there, size)
}

// note keeps that a part has arrived.
func (x *sending) note(n int, p part, size int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.done += size
	x.t.Progress(x.done, x.total, "bytes")
	if x.parts[n] == p {
		return nil
	}
	x.parts[n] = p
	return x.t.Save("parts", x.parts)
}

// unlessDone reads until a context has ended.
type unlessDone struct {
	ctx context.Context
	io.Reader
}

func (r *unlessDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// complete makes the object of the parts. That there is no such upload any more says that
// it was made before, if it is there.
func (x *sending) complete(ctx context.Context, o Object) error {
	type item struct {
		PartNumber int
		ETag       string
	}
	var list struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUpload"`
		Part    []item
	}
	for n := 1; n <= x.count(); n++ {
		list.Part = append(list.Part, item{n, x.parts[n].ETag})
	}
	body, err := xml.Marshal(list)
	if err != nil {
		return fmt.Errorf("cannot upload %s: %w", x.u.File, err)
	}
	call := s3Call{operation: "CompleteMultipartUpload", method: http.MethodPost, bucket: o.Bucket, key: o.Object, query: url.Values{"uploadId": {x.u.ID}}}
	_, err = x.c.callS3(ctx, o.Place, call.text(body), func(r s3Reply) bool { return decodeS3(r, "CompleteMultipartUploadResult", new(struct{})) })
	if err == nil {
		return nil
	}
	if classify(call.operation, old, err).class == notFound {
		if _, lookErr := o.Find(ctx, x.c, x.t); lookErr == nil {
			return nil
		}
	}
	return wrapAPI("complete the upload of "+x.u.File, call.operation, old, err)
}

// Find looks whether the object is there, and carries the token. One whose file has changed
// is removed, and so not there. Who may not list the
// bucket is not told what is not there: that is as if it were forbidden. So what
// an interrupted attempt may have made is removed then, and is not there.
func (o Object) Find(ctx context.Context, c *Cloud, t *dag.Task) (Object, error) {
	sure := o.Object != ""
	if !sure {
		if begun, err := t.Load("object", &o); err != nil || !begun {
			return Object{}, errors.Join(err, dag.ErrNotFound)
		}
	}
	token, err := o.carries(ctx, c)
	code, _ := apiError(err)
	switch {
	case lacksPermission(code) && sure:
		return o, nil
	case lacksPermission(code):
		if err := o.remove(ctx, c); err != nil {
			return Object{}, err
		}
		return Object{}, dag.ErrNotFound
	case err != nil:
		return Object{}, wrapAPI("look for "+o.where(), "HeadObject", old, err)
	case token != o.Token:
		return Object{}, dag.ErrNotFound
	case sure && o.outdated(c): // somebody has mended it, since whoever looks is about to import it
		if err := o.remove(ctx, c); err != nil {
			return Object{}, err
		}
		t.Say("%s was changed since it was uploaded", o.File)
		return Object{}, dag.ErrNotFound
	}
	return o, nil
}

// outdated reports whether the file is there, and is another than the one that was uploaded.
func (o Object) outdated(c *Cloud) bool {
	info, err := os.Stat(c.local(o.File))
	return err == nil && (info.Size() != o.Size || !info.ModTime().Equal(o.Modified))
}

// carries is the token of whatever lies under the key.
func (o Object) carries(ctx context.Context, c *Cloud) (string, error) {
	reply, err := c.callS3(ctx, o.Place, s3Call{operation: "HeadObject", method: http.MethodHead, bucket: o.Bucket, key: o.Object},
		func(r s3Reply) bool { return r.Get("ETag") != "" })
	return reply.Get(tokenHeader), err
}

func (o Object) where() string { return "s3://" + o.Bucket + "/" + o.Object }

// Undo removes the object, unless somebody else has put another in its place.
func (o Object) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	switch token, err := o.carries(ctx, c); {
	case err == nil && token != o.Token:
		t.Warn("%s is another by now: it stays", o.where())
		return nil
	case err != nil && classify("HeadObject", old, err).class == notFound:
		return nil
	}
	return o.remove(ctx, c)
}

func (o Object) remove(ctx context.Context, c *Cloud) error {
	_, err := c.callS3(ctx, o.Place, s3Call{operation: "DeleteObject", method: http.MethodDelete, bucket: o.Bucket, key: o.Object}, nil)
	return gone("remove "+o.where(), "DeleteObject", err)
}

// Label is where the object is.
func (o Object) Label() string { return o.where() }
