package hostile

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// ec2Attacks are those of an endpoint that is EC2 but for some replies.
func ec2Attacks() []Attack {
	attacks := []Attack{
		{
			Name: "ec2-endless-error", Does: "an error message has no end",
			EC2: reply("ImportKeyPair", 400, func(w io.Writer) {
				io.WriteString(w, "<Response><Errors><Error><Code>InvalidKey.Format</Code><Message>")
				flood(w, "no, and ")
			}),
			Says: []string{`HTTP 400 Bad Request, with a body that is not AWS's: "InvalidKey.Format no, and no, and`},
		},
		{
			Name: "ec2-endless-tag", Does: "the value of a tag has no end",
			EC2: reply("DescribeImages", 200, func(w io.Writer) {
				io.WriteString(w, "<DescribeImagesResponse><imagesSet><item><imageId>ami-1</imageId><tagSet><item><key>k</key><value>")
				flood(w, "v")
			}),
			Says: []string{"the reply to DescribeImages holds a text longer than 256 KiB"},
		},
		{
			Name: "ec2-endless-list", Does: "a list has no end",
			EC2: reply("DescribeInstances", 200, func(w io.Writer) {
				io.WriteString(w, "<DescribeInstancesResponse><reservationSet><item><instancesSet>")
				flood(w, "<item/>")
			}),
			Says: []string{"the reply to DescribeInstances lists more than 25000 items"},
		},
		{
			Name: "ec2-many-images", Does: "a list has as many images in it as a reply may hold, and the reply is as long as one may be",
			EC2: reply("DescribeImages", 200, func(w io.Writer) {
				io.WriteString(w, "<DescribeImagesResponse><imagesSet>")
				io.WriteString(w, strings.Repeat("<item><imageId>ami-1</imageId><name>"+strings.Repeat("x", 600)+"</name></item>", 24_999))
				io.WriteString(w, "</imagesSet></DescribeImagesResponse>")
			}),
			Says: []string{"ami-1"},
		},
		{
			Name: "ec2-many-instances", Does: "a launch makes as many instances as a reply may hold",
			EC2: reply("RunInstances", 200, func(w io.Writer) {
				io.WriteString(w, "<RunInstancesResponse><instancesSet>")
				io.WriteString(w, strings.Repeat("<item><instanceId>i-1</instanceId><instanceState><name>pending</name></instanceState></item>", 24_999))
				io.WriteString(w, "</instancesSet></RunInstancesResponse>")
			}),
			Says: []string{"EC2 launched 24999 instances instead of one"},
		},
		{
			Name: "ec2-nested", Does: "three million elements are open at once",
			EC2: reply("DescribeImages", 200, func(w io.Writer) {
				io.WriteString(w, "<DescribeImagesResponse>")
				io.WriteString(w, strings.Repeat("<a>", 1_500_000)+strings.Repeat("</a>", 1_500_000))
				io.WriteString(w, "</DescribeImagesResponse>")
			}),
			Says: []string{"the reply to DescribeImages nests elements deeper than 64"},
		},
		{
			Name: "ec2-attributes", Does: "an element has a million attributes",
			EC2: reply("DescribeImages", 200, func(w io.Writer) {
				io.WriteString(w, "<DescribeImagesResponse "+strings.Repeat("a='' ", 1_000_000)+"/>")
			}),
			Says: []string{"the reply to DescribeImages holds a tag longer than 1024 bytes"},
		},
		{
			Name: "ec2-gzip", Does: "a few bytes of gzip become a reply without an end",
			EC2: instead("DescribeImages", func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
					http.Error(w, "this attack needs a client that asks for gzip", http.StatusNotAcceptable)
					return
				}
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				io.WriteString(z, "<DescribeImagesResponse>")
				flood(z, strings.Repeat(" ", 1<<16))
			}),
			Says: []string{"the reply to DescribeImages holds a text longer than 256 KiB"},
		},
		{
			Name: "ec2-pages", Does: "a list has pages without an end",
			EC2:  pages,
			Says: []string{"the list of DescribeInstances has no end"},
		},
		{
			Name: "ec2-terminal", Does: "an error message and a page drive the terminal",
			EC2: reply("CreateSecurityGroup", 400, func(w io.Writer) {
				io.WriteString(w, "<Response><Errors><Error><Code>Odd\u202e</Code><Message>\u009b2J\u202eevil \xc2\t\x9bx</Message></Error></Errors></Response>")
			}),
			Says: []string{"evil"},
		},
	}
	for i := range attacks {
		attacks[i].Fails = true
	}
	return attacks
}

// instead has one action answered otherwise.
func instead(action string, f http.HandlerFunc) func(http.Handler) http.Handler {
	return func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked(r).Get("Action") == action {
				f(w, r)
				return
			}
			honest.ServeHTTP(w, r)
		})
	}
}

// reply answers one action with a status and a body.
func reply(action string, status int, body func(io.Writer)) func(http.Handler) http.Handler {
	return instead(action, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		body(w)
	})
}

// asked is what a request asks for, which stays to be read.
func asked(r *http.Request) url.Values {
	p, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(p))
	if err != nil {
		return nil
	}
	form, _ := url.ParseQuery(string(p))
	return form
}

// pages answers each look at instances with a full page, and another to come.
func pages(honest http.Handler) http.Handler {
	n := 0
	return instead("DescribeInstances", func(w http.ResponseWriter, _ *http.Request) {
		n++
		io.WriteString(w, "<DescribeInstancesResponse><reservationSet><item><instancesSet>")
		for i := range 1000 {
			fmt.Fprintf(w, "<item><instanceId>i-%d-%d</instanceId><instanceState><name>pending</name></instanceState><imageId>%s</imageId></item>", n, i, strings.Repeat("x", 1000))
		}
		fmt.Fprintf(w, "</instancesSet></item></reservationSet><nextToken>%d</nextToken></DescribeInstancesResponse>", n)
	})(honest)
}
