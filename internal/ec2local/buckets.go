package ec2local

import (
	"net"
	"net/http"
	"time"
)

// A s3Bucket holds objects. Its id is its name, of which there is one in all regions.
type s3Bucket struct{ base }

func (*s3Bucket) table() string { return "bucket" }

// maxBuckets is the quota of an account.
const maxBuckets = 100

var bucketName = patternOf(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// bucket returns the bucket of a name, or nil.
func (t *txn) bucket(name string) *s3Bucket {
	for _, b := range all[s3Bucket](t, "") {
		if b.ID == name {
			return b
		}
	}
	return nil
}

// own is the request's bucket. One of another region is served by that region alone.
func (q *s3Request) own(c *call) (*s3Bucket, error) {
	b := c.bucket(q.bucket)
	switch {
	case b == nil:
		return nil, fail("NoSuchBucket", "The specified bucket does not exist")
	case accountOf(b.Region) != c.account():
		return nil, fail("AccessDenied", "Access Denied")
	case b.Region != c.region:
		q.w.Header().Set("X-Amz-Bucket-Region", regionOf(b.Region))
		return nil, fail("PermanentRedirect", "The bucket you are attempting to access must be addressed in its own region, %s.", regionOf(b.Region))
	}
	return b, nil
}

// newBucket makes a bucket in the call's region, or finds it there.
func (c *call) newBucket(name string) (there bool, err error) {
	if ip := net.ParseIP(name); ip != nil || !bucketName.MatchString(name) {
		return false, fail("InvalidBucketName", "The specified bucket is not valid.")
	}
	switch b := c.bucket(name); {
	case b != nil && b.Region == c.region:
		return true, nil
	case b != nil && accountOf(b.Region) != c.account():
		return false, fail("BucketAlreadyExists", "The requested bucket name is not available: somebody else has it.")
	case b != nil:
		return false, fail("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it: it is in %s.", regionOf(b.Region))
	case len(all[s3Bucket](c.txn, "")) >= maxBuckets:
		return false, fail("TooManyBuckets", "You have attempted to create more buckets than allowed")
	}
	put(c.txn, &s3Bucket{base{ID: name, Region: c.region, Created: c.now.UTC()}})
	return false, nil
}

func createBucket(q *s3Request) (func(), error) {
	var asked struct{ LocationConstraint string }
	if err := q.readXML(&asked); err != nil {
		return nil, err
	}
	if r := asked.LocationConstraint; r != "" && r != regionOf(q.who.region) || r == "" && regionOf(q.who.region) != "us-east-1" && partitionOf(q.who.region).name == "aws" {
		return nil, fail("IllegalLocationConstraintException", "The location constraint is not that of the region that the request was sent to, %s.", regionOf(q.who.region))
	}
	err := q.update(func(c *call) error {
		there, err := c.newBucket(q.bucket)
		if err == nil && there && regionOf(c.region) != "us-east-1" {
			return fail("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	q.w.Header().Set("Location", "/"+q.bucket)
	return q.done(http.StatusOK)
}

func headBucket(q *s3Request) (func(), error) {
	err := q.view(func(c *call) error {
		_, err := q.own(c)
		return err
	})
	if err != nil {
		return nil, err
	}
	q.w.Header().Set("X-Amz-Bucket-Region", regionOf(q.who.region))
	return q.done(http.StatusOK)
}

func deleteBucket(q *s3Request) (func(), error) {
	err := q.update(func(c *call) error {
		b, err := q.own(c)
		switch {
		case err != nil:
			return err
		case len(c.objects(b.ID, "")) > 0:
			return fail("BucketNotEmpty", "The bucket you tried to delete is not empty.")
		}
		drop(c.txn, b)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return q.done(http.StatusNoContent)
}

func getBucketLocation(q *s3Request) (func(), error) {
	var where string
	err := q.view(func(c *call) error {
		b := c.bucket(q.bucket)
		if b == nil {
			return fail("NoSuchBucket", "The specified bucket does not exist")
		}
		if where = regionOf(b.Region); where == "us-east-1" {
			where = "" // as it was when there was no other
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return q.answers("LocationConstraint", struct {
		Region string `xml:",chardata"`
	}{where})
}

type bucketItem struct {
	Name    string
	Created string `xml:"CreationDate"`
}

type s3Owner struct {
	ID string
}

func listBuckets(q *s3Request) (func(), error) {
	var list struct {
		Owner   s3Owner
		Buckets []bucketItem `xml:"Buckets>Bucket"`
	}
	list.Owner.ID = accountOf(q.who.region)
	err := q.view(func(c *call) error {
		for _, b := range all[s3Bucket](c.txn, "") {
			if accountOf(b.Region) != c.account() {
				continue
			}
			list.Buckets = append(list.Buckets, bucketItem{b.ID, s3Stamp(b.Created)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return q.answers("ListAllMyBucketsResult", list)
}

func s3Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
