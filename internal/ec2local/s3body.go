package ec2local

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A piece is a file of this endpoint's that holds an object, or a part of one.
type piece struct {
	File string `json:"file"`
	Size int64  `json:"size"`
	MD5  string `json:"md5"` // hexadecimal
}

// Bounds of what is kept: S3's own for one request, and one for all together, since the
// disk is that of a developer.
const (
	maxPut    = 5 << 30
	maxStored = 256 << 30
	maxS3XML  = 2 << 20 // bytes of a body that is XML
)

// s3Checksums are those that a request may state in a header.
var s3Checksums = map[string]func() hash.Hash{
	"checksum-crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"checksum-crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"checksum-crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"checksum-sha1":      sha1.New,
	"checksum-sha256":    sha256.New,
}

func (s *Server) s3Dir() string { return filepath.Join(s.dir, "s3") }

// receive puts the body on the disk, whole and as its sums say, or leaves nothing.
func (q *s3Request) receive() (p piece, err error) {
	stored := int64(0)
	if err := q.view(func(c *call) error { stored = c.stored(); return nil }); err != nil {
		return p, err
	}
	limit := min(maxPut, maxStored-stored)
	if q.ContentLength < 0 {
		return p, fail("MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	if q.ContentLength > limit {
		return p, fail("EntityTooLarge", "Your proposed upload exceeds what this endpoint has room for: %d bytes.", limit)
	}
	if err := os.MkdirAll(q.s.s3Dir(), 0o700); err != nil {
		return p, err
	}
	p.File = newS3ID()
	path := filepath.Join(q.s.s3Dir(), p.File)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return p, err
	}
	sums := map[string]hash.Hash{"md5": md5.New(), "payload": sha256.New()}
	to := []io.Writer{f, sums["md5"], sums["payload"]}
	for name, make := range s3Checksums {
		if q.Header.Get("x-amz-"+name) != "" {
			sums[name] = make()
			to = append(to, sums[name])
		}
	}
	p.Size, err = io.Copy(io.MultiWriter(to...), q.Body)
	switch {
	case err != nil || p.Size != q.ContentLength:
		err = fail("IncompleteBody", "The request body ended before its Content-Length.")
	default:
		err = q.agree(sums)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
		return p, err
	}
	p.MD5 = hex.EncodeToString(sums["md5"].Sum(nil))
	return p, nil
}

// agree holds the body's sums against what the request says of them.
func (q *s3Request) agree(sums map[string]hash.Hash) error {
	if got := hex.EncodeToString(sums["payload"].Sum(nil)); q.payload != unsignedPayload && q.payload != got {
		return fail("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	if want := q.Header.Get("Content-Md5"); want != "" && want != base64.StdEncoding.EncodeToString(sums["md5"].Sum(nil)) {
		return fail("BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	for name := range s3Checksums {
		want := q.Header.Get("x-amz-" + name)
		if want != "" && want != base64.StdEncoding.EncodeToString(sums[name].Sum(nil)) {
			return fail("BadDigest", "The %s you specified did not match what we received.", name)
		}
	}
	return nil
}

// readXML reads a body that is XML. Its sums are held against it as those of any other.
func (q *s3Request) readXML(into any) error {
	raw, err := io.ReadAll(io.LimitReader(q.Body, maxS3XML+1))
	if err != nil || len(raw) > maxS3XML {
		return fail("IncompleteBody", "The request body is incomplete or too long.")
	}
	sums := map[string]hash.Hash{"md5": md5.New(), "payload": sha256.New()}
	for name, make := range s3Checksums {
		sums[name] = make()
	}
	for _, h := range sums {
		h.Write(raw)
	}
	if err := q.agree(sums); err != nil {
		return err
	}
	if len(bytes.TrimSpace(raw)) > 0 && xml.Unmarshal(raw, into) != nil {
		return fail("MalformedXML", "The XML you provided was not well-formed.")
	}
	return nil
}

// discard removes the files of pieces that nothing names any more. One that stays goes with
// the next start.
func (s *Server) discard(ps ...piece) {
	for _, p := range ps {
		if p.File != "" {
			os.Remove(filepath.Join(s.s3Dir(), p.File))
		}
	}
}

// sweepS3 removes the files that a crash has left without anything that names them.
func (s *Server) sweepS3() error {
	named := map[string]bool{}
	err := s.view(func(t *txn) error {
		for _, o := range all[s3Object](t, "") {
			for _, p := range o.Pieces {
				named[p.File] = true
			}
		}
		for _, u := range all[upload](t, "") {
			for _, p := range u.Parts {
				named[p.File] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	files, err := os.ReadDir(s.s3Dir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, f := range files {
		if !named[f.Name()] {
			os.Remove(filepath.Join(s.s3Dir(), f.Name()))
		}
	}
	return err
}

// stored is how many bytes all objects and parts have.
func (t *txn) stored() (n int64) {
	for _, o := range all[s3Object](t, "") {
		n += o.Size
	}
	for _, u := range all[upload](t, "") {
		for _, p := range u.Parts {
			n += p.Size
		}
	}
	return n
}

// readObject fills a buffer with what an object has from an offset on.
func (s *Server) readObject(o *s3Object, into []byte, offset int64) error {
	if offset < 0 {
		return io.ErrUnexpectedEOF
	}
	r := &objectReader{s: s, o: o, at: offset}
	defer r.Close()
	_, err := io.ReadFull(r, into)
	return err
}

// objectReader reads an object, whose pieces are opened one at a time.
type objectReader struct {
	s     *Server
	o     *s3Object
	at    int64
	f     *os.File
	begin int64 // of what is open
	end   int64
}

func (r *objectReader) Read(p []byte) (int, error) {
	if r.at >= r.o.Size {
		return 0, io.EOF
	}
	if r.f == nil || r.at < r.begin || r.at >= r.end {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	n, err := r.f.ReadAt(p[:min(int64(len(p)), r.end-r.at)], r.at-r.begin)
	r.at += int64(n)
	if errors.Is(err, io.EOF) && n > 0 {
		err = nil
	}
	return n, err
}

func (r *objectReader) open() error {
	r.Close()
	begin := int64(0)
	for _, p := range r.o.Pieces {
		if r.at < begin+p.Size {
			f, err := os.Open(filepath.Join(r.s.s3Dir(), p.File))
			r.f, r.begin, r.end = f, begin, begin+p.Size
			return err
		}
		begin += p.Size
	}
	return io.ErrUnexpectedEOF
}

func (r *objectReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.o.Size
	}
	if offset < 0 {
		return r.at, fmt.Errorf("cannot seek before the beginning")
	}
	r.at = offset
	return offset, nil
}

func (r *objectReader) Close() error {
	if r.f == nil {
		return nil
	}
	err := r.f.Close()
	r.f = nil
	return err
}

func quotedTag(sum string) string { return `"` + strings.Trim(sum, `"`) + `"` }
