package aws

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/internal/ec2local"
)

// TestReplies is how answers that are none are told, and whether they are asked
// for again.
func TestReplies(t *testing.T) {
	const whole = `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><imagesSet>`
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
		calls  int
	}{
		{"a gateway", 502, gateway, `HTTP 502 Bad Gateway, with a body that is not AWS's: "502 Bad Gateway 502 Bad Gateway nginx"`, 2},
		{"a gateway without words", 504, "", "HTTP 504 Gateway Timeout, with an empty body", 2},
		{"a broken refusal", 400, "<Response><Errors><Error><Code>Invalid", "the reply to DescribeImages broke off after 38 bytes", 2},
		{"a proxy that refuses", 403, "<html><h1>Blocked by the firewall of \x1b[31mACME</h1>", `HTTP 403 Forbidden, with a body that is not AWS's: "Blocked by the firewall of \x1b[31mACME"`, 1},
		{"a page to log in", 200, "<!DOCTYPE html><html><body>Log in to the hotel's network</body></html>", `HTTP 200 OK, with a body that is not a DescribeImagesResponse: "Log in to the hotel's network"`, 2},
		{"nothing", 200, "", "HTTP 200 OK, with an empty body", 2},
		{"half", 200, whole, "the reply to DescribeImages broke off after 108 bytes", 2},
		{"an image without an id", 200, whole + "<item/></imagesSet></DescribeImagesResponse>", "the reply to DescribeImages names no image", 2},
		{"a long word", 200, whole + strings.Repeat("x", maxText+1) + "</imagesSet></DescribeImagesResponse>", "the reply to DescribeImages holds a text longer than 256 KiB", 1},
		{"a long tag", 200, whole + "<item " + strings.Repeat("a='' ", 1000) + "/></imagesSet></DescribeImagesResponse>", "the reply to DescribeImages holds a tag longer than 1024 bytes", 1},
		{"a deep one", 200, whole + strings.Repeat("<item>", 1000) + strings.Repeat("</item>", 1000) + "</imagesSet></DescribeImagesResponse>", "the reply to DescribeImages nests elements deeper than 64", 1},
		{"a long list", 200, whole + strings.Repeat("<item/>", maxItems+1) + "</imagesSet></DescribeImagesResponse>", "the reply to DescribeImages lists more than 25000 items", 1},
		{"a long one", 200, whole + strings.Repeat("<a>"+strings.Repeat("x", 100_000)+"</a>", maxReply/100_000+1) + "</imagesSet></DescribeImagesResponse>", "the reply to DescribeImages is longer than 16 MiB", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, ec2local.Faults{})
			w.front.setPlay(func(rw http.ResponseWriter, _ string, _ int, _ url.Values) bool {
				rw.WriteHeader(c.status)
				rw.Write([]byte(c.body))
				return true
			})
			_, err := w.site().api.DescribeImages(t.Context(), &ec2.DescribeImagesInput{}, func(o *ec2.Options) { o.RetryMaxAttempts = 2 })
			if got := wrapAPI("look", "DescribeImages", old, err); got == nil || got.Error() != "cannot look: "+c.want {
				t.Errorf("%v, want cannot look: %s", got, c.want)
			}
			if n := w.front.count("DescribeImages"); n != c.calls {
				t.Errorf("%d calls, want %d", n, c.calls)
			}
		})
	}
}
