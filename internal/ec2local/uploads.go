package ec2local

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An upload is an object that comes in parts.
type upload struct {
	base
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	about3
	Parts []uploadedPart `json:"parts,omitempty"` // in their order
}

type uploadedPart struct {
	Number int       `json:"number"`
	At     time.Time `json:"at"`
	piece
}

func (*upload) table() string { return "upload" }

// S3's limits.
const (
	mostParts = 10_000
	leastPart = 5 << 20 // bytes, of all but the last
)

// upload is the one that a request names.
func (q *s3Request) upload(c *call) (*upload, error) {
	b, err := q.own(c)
	if err != nil {
		return nil, err
	}
	u := get[upload](c.txn, b.Region, q.query.Get("uploadId"))
	if u == nil || u.Bucket != q.bucket || u.Key != q.key {
		return nil, fail("NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	}
	return u, nil
}

func createUpload(q *s3Request) (func(), error) {
	a, err := q.about()
	if err != nil {
		return nil, err
	}
	id := newS3ID()
	err = q.update(func(c *call) error {
		b, err := q.own(c)
		if err != nil {
			return err
		}
		put(c.txn, &upload{base: base{ID: id, Region: b.Region, Created: c.now.UTC()}, Bucket: b.ID, Key: q.key, about3: a})
		return nil
	})
	if err != nil {
		return nil, err
	}
	q.encrypted(a)
	return q.answers("InitiateMultipartUploadResult", struct {
		Bucket, Key string
		ID          string `xml:"UploadId"`
	}{q.bucket, q.key, id})
}

func uploadPart(q *s3Request) (func(), error) {
	n, err := strconv.Atoi(q.query.Get("partNumber"))
	if err != nil || n < 1 || n > mostParts {
		return nil, fail("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", mostParts)
	}
	if err := q.view(func(c *call) error { _, err := q.upload(c); return err }); err != nil {
		return nil, err
	}
	p, err := q.receive()
	if err != nil {
		return nil, err
	}
	err = q.update(func(c *call) error {
		u, err := q.upload(c)
		if err != nil {
			return err
		}
		part := uploadedPart{n, c.now.UTC(), p}
		at, there := slices.BinarySearchFunc(u.Parts, n, func(p uploadedPart, n int) int { return cmp.Compare(p.Number, n) })
		if there {
			was := u.Parts[at].piece
			c.after = append(c.after, func() { c.s.discard(was) })
			u.Parts[at] = part
		} else {
			u.Parts = slices.Insert(u.Parts, at, part)
		}
		put(c.txn, u)
		return nil
	})
	if err != nil {
		q.s.discard(p)
		return nil, err
	}
	q.w.Header().Set("ETag", quotedTag(p.MD5))
	return q.done(http.StatusOK)
}

type partItem struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
}

func listParts(q *s3Request) (func(), error) {
	var list struct {
		Bucket, Key string
		ID          string `xml:"UploadId"`
		MaxParts    int
		IsTruncated bool
		Parts       []partItem `xml:"Part"`
	}
	list.Bucket, list.Key, list.MaxParts = q.bucket, q.key, mostParts
	err := q.view(func(c *call) error {
		u, err := q.upload(c)
		if err != nil {
			return err
		}
		list.ID = u.ID
		for _, p := range u.Parts {
			list.Parts = append(list.Parts, partItem{p.Number, s3Stamp(p.At), quotedTag(p.MD5), p.Size})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return q.answers("ListPartsResult", list)
}

func completeUpload(q *s3Request) (func(), error) {
	var asked struct {
		Parts []struct {
			PartNumber int
			ETag       string
		} `xml:"Part"`
	}
	if err := q.readXML(&asked); err != nil {
		return nil, err
	}
	tag := ""
	err := q.update(func(c *call) error {
		u, err := q.upload(c)
		if err != nil {
			return err
		}
		o := c.newObject(&s3Bucket{base{ID: u.Bucket, Region: u.Region}}, u.Key, u.about3)
		sums, last := md5.New(), 0
		var left []piece
		for _, p := range u.Parts {
			left = append(left, p.piece)
		}
		for i, a := range asked.Parts {
			at := slices.IndexFunc(u.Parts, func(p uploadedPart) bool { return p.Number == a.PartNumber && p.MD5 == strings.Trim(a.ETag, `"`) })
			switch {
			case a.PartNumber <= last:
				return fail("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
			case at < 0:
				return fail("InvalidPart", "One or more of the specified parts could not be found.")
			case u.Parts[at].Size < leastPart && i < len(asked.Parts)-1:
				return fail("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
			}
			p := u.Parts[at].piece
			raw, _ := hex.DecodeString(p.MD5) // it is ours
			sums.Write(raw)
			o.Size, o.Pieces, last = o.Size+p.Size, append(o.Pieces, p), a.PartNumber
			left = slices.DeleteFunc(left, func(l piece) bool { return l.File == p.File })
		}
		if len(asked.Parts) == 0 {
			return fail("MalformedXML", "The XML you provided was not well-formed: it lists no parts.")
		}
		o.ETag = fmt.Sprintf("%x-%d", sums.Sum(nil), len(asked.Parts))
		tag = o.ETag
		c.keep(o)
		drop(c.txn, u)
		c.after = append(c.after, func() { c.s.discard(left...) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return q.answers("CompleteMultipartUploadResult", struct{ Location, Bucket, Key, ETag string }{"/" + objectID(q.bucket, q.key), q.bucket, q.key, quotedTag(tag)})
}

// end forgets an upload and its parts.
func (t *txn) end(u *upload) {
	drop(t, u)
	t.after = append(t.after, func() {
		for _, p := range u.Parts {
			t.s.discard(p.piece)
		}
	})
}

func abortUpload(q *s3Request) (func(), error) {
	err := q.update(func(c *call) error {
		u, err := q.upload(c)
		if err == nil {
			c.end(u)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return q.done(http.StatusNoContent)
}

type uploadItem struct {
	Key       string
	ID        string `xml:"UploadId"`
	Initiated string
}

func listUploads(q *s3Request) (func(), error) {
	var list struct {
		Bucket      string
		Prefix      string
		MaxUploads  int
		IsTruncated bool
		Uploads     []uploadItem `xml:"Upload"`
	}
	list.Bucket, list.Prefix, list.MaxUploads = q.bucket, q.query.Get("prefix"), mostListed
	err := q.view(func(c *call) error {
		b, err := q.own(c)
		if err != nil {
			return err
		}
		for _, u := range all[upload](c.txn, b.Region) {
			if u.Bucket == b.ID && strings.HasPrefix(u.Key, list.Prefix) {
				list.Uploads = append(list.Uploads, uploadItem{u.Key, u.ID, s3Stamp(u.Created)})
			}
		}
		if len(list.Uploads) > mostListed {
			return fail("NotImplemented", "A list of more than %d uploads is not supported by this endpoint.", mostListed)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return q.answers("ListMultipartUploadsResult", list)
}

// uploadMemory is for how long an upload is kept that nobody completes.
const uploadMemory = 7 * 24 * time.Hour

func (t *txn) pruneUploads() {
	for _, u := range all[upload](t, "") {
		if u.Created.Before(t.now.Add(-uploadMemory)) {
			drop(t, u) // its files go with the sweep
		}
	}
}
