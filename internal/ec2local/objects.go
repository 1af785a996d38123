package ec2local

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// A s3Object is content under a key of a bucket. Its id is both.
type s3Object struct {
	base
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	about3
	Size   int64   `json:"size"`
	ETag   string  `json:"etag"`
	Pieces []piece `json:"pieces"`
}

// about3 is what an object's maker says of it.
type about3 struct {
	Type string            `json:"type,omitempty"`
	Meta map[string]string `json:"meta,omitempty"`
	SSE  string            `json:"sse,omitempty"`
	KMS  string            `json:"kms,omitempty"`
}

func (*s3Object) table() string { return "object" }

// S3's limits.
const (
	longestKey  = 1024    // bytes
	longestMeta = 2 << 10 // bytes of all keys and values
	mostListed  = 1000
)

func objectID(bucket, key string) string { return bucket + "/" + key }

// object returns what lies under a key, or nil.
func (t *txn) object(bucket, key string) *s3Object {
	b := t.bucket(bucket)
	if b == nil {
		return nil
	}
	return get[s3Object](t, b.Region, objectID(bucket, key))
}

// objects are those of a bucket whose keys begin with a prefix.
func (t *txn) objects(bucket, prefix string) (list []*s3Object) {
	for _, o := range all[s3Object](t, "") {
		if o.Bucket == bucket && strings.HasPrefix(o.Key, prefix) {
			list = append(list, o)
		}
	}
	return list
}

// about reads what the request says of an object that it makes.
func (q *s3Request) about() (a about3, err error) {
	if len(q.key) > longestKey || !utf8.ValidString(q.key) {
		return a, fail("KeyTooLongError", "Your key is too long")
	}
	size := 0
	for name, values := range q.Header {
		if name, meta := strings.CutPrefix(strings.ToLower(name), "x-amz-meta-"); meta {
			if a.Meta == nil {
				a.Meta = map[string]string{}
			}
			a.Meta[name] = strings.Join(values, ",")
			size += len(name) + len(a.Meta[name])
		}
	}
	a.Type, a.SSE, a.KMS = q.Header.Get("Content-Type"), q.Header.Get("X-Amz-Server-Side-Encryption"), q.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")
	switch {
	case size > longestMeta:
		return a, fail("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	case a.SSE != "" && a.SSE != "AES256" && a.SSE != "aws:kms":
		return a, fail("InvalidArgument", "The encryption method specified is not supported")
	case a.KMS != "" && a.SSE != "aws:kms":
		return a, fail("InvalidArgument", "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
	}
	return a, nil
}

// keep puts an object in its place. What was there goes.
func (c *call) keep(o *s3Object) {
	if was := get[s3Object](c.txn, o.Region, o.ID); was != nil {
		c.after = append(c.after, func() { c.s.discard(was.Pieces...) })
	}
	put(c.txn, o)
}

func (c *call) newObject(bucket *s3Bucket, key string, a about3) *s3Object {
	return &s3Object{base: base{ID: objectID(bucket.ID, key), Region: bucket.Region, Created: c.now.UTC()}, Bucket: bucket.ID, Key: key, about3: a}
}

// encrypted tells how what a request has made or asked for is encrypted.
func (q *s3Request) encrypted(a about3) {
	h := q.w.Header()
	if a.SSE == "" {
		a.SSE = "AES256" // as S3 does without being asked
	}
	h.Set("X-Amz-Server-Side-Encryption", a.SSE)
	if a.KMS != "" {
		h.Set("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", a.KMS)
	}
}

func putObject(q *s3Request) (func(), error) {
	a, err := q.about()
	if err == nil {
		err = q.view(func(c *call) error { _, err := q.own(c); return err })
	}
	if err != nil {
		return nil, err
	}
	p, err := q.receive()
	if err != nil {
		return nil, err
	}
	err = q.update(func(c *call) error {
		b, err := q.own(c)
		if err != nil {
			return err
		}
		o := c.newObject(b, q.key, a)
		o.Size, o.ETag, o.Pieces = p.Size, p.MD5, []piece{p}
		c.keep(o)
		return nil
	})
	if err != nil {
		q.s.discard(p)
		return nil, err
	}
	q.w.Header().Set("ETag", quotedTag(p.MD5))
	q.encrypted(a)
	return q.done(http.StatusOK)
}

// getObject answers GET and HEAD.
func getObject(q *s3Request) (func(), error) {
	var o *s3Object
	err := q.view(func(c *call) error {
		if _, err := q.own(c); err != nil {
			return err
		}
		if o = c.object(q.bucket, q.key); o == nil {
			return fail("NoSuchKey", "The specified key does not exist.")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	h := q.w.Header()
	for name, value := range o.Meta {
		h["x-amz-meta-"+name] = []string{value} // in small letters, as S3 writes it
	}
	h.Set("ETag", quotedTag(o.ETag))
	h.Set("Content-Type", o.Type)
	if o.Type == "" {
		h.Set("Content-Type", "binary/octet-stream")
	}
	q.encrypted(o.about3)
	return func() {
		r := &objectReader{s: q.s, o: o}
		defer r.Close()
		http.ServeContent(q.w, q.Request, "", o.Created, r)
	}, nil
}

// deleteObject of what is not there is no error.
func deleteObject(q *s3Request) (func(), error) {
	err := q.update(func(c *call) error {
		if _, err := q.own(c); err != nil {
			return err
		}
		if o := c.object(q.bucket, q.key); o != nil {
			drop(c.txn, o)
			c.after = append(c.after, func() { c.s.discard(o.Pieces...) })
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return q.done(http.StatusNoContent)
}

type objectItem struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
	StorageClass string
}

type prefixItem struct{ Prefix string }

func listObjects(q *s3Request) (func(), error) {
	prefix, delimiter := q.query.Get("prefix"), q.query.Get("delimiter")
	text := func(s string) string { return s }
	if q.query.Get("encoding-type") == "url" {
		text = url.QueryEscape
	}
	var list struct {
		Name           string
		Prefix         string
		Delimiter      string `xml:",omitempty"`
		KeyCount       int
		MaxKeys        int
		EncodingType   string `xml:",omitempty"`
		IsTruncated    bool
		Contents       []objectItem
		CommonPrefixes []prefixItem
	}
	list.Name, list.Prefix, list.Delimiter, list.MaxKeys, list.EncodingType = q.bucket, text(prefix), text(delimiter), mostListed, q.query.Get("encoding-type")
	err := q.view(func(c *call) error {
		b, err := q.own(c)
		if err != nil {
			return err
		}
		folders := map[string]bool{}
		for _, o := range c.objects(b.ID, prefix) {
			if folder, _, in := strings.Cut(o.Key[len(prefix):], delimiter); in && delimiter != "" {
				folders[prefix+folder+delimiter] = true
				continue
			}
			list.Contents = append(list.Contents, objectItem{text(o.Key), s3Stamp(o.Created), quotedTag(o.ETag), o.Size, "STANDARD"})
		}
		for _, f := range slices.Sorted(maps.Keys(folders)) {
			list.CommonPrefixes = append(list.CommonPrefixes, prefixItem{text(f)})
		}
		if list.KeyCount = len(list.Contents) + len(list.CommonPrefixes); list.KeyCount > mostListed {
			return fail("NotImplemented", "A list of more than %d keys is not supported by this endpoint.", mostListed)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return q.answers("ListBucketResult", list)
}
