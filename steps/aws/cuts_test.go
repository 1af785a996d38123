package aws

import (
	"crypto/rsa"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// cut is one way in which the answer to a call goes wrong; serve has the endpoint
// do what it was asked for.
type cut func(w http.ResponseWriter, serve func(http.ResponseWriter))

// answered has the endpoint do the work and returns what it would have said.
func answered(serve func(http.ResponseWriter)) (status int, body []byte) {
	rec := httptest.NewRecorder()
	serve(rec)
	return rec.Code, rec.Body.Bytes()
}

// raw takes the connection over, writes to it, and ends it.
func raw(w http.ResponseWriter, reset bool, parts ...string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	io.WriteString(conn, strings.Join(parts, ""))
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		time.Sleep(5 * time.Millisecond) // what was written arrives first
		tcp.SetLinger(0)
	}
	conn.Close()
}

func head(status, length int) string {
	h := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: text/xml\r\nConnection: close\r\n", status, http.StatusText(status))
	if length >= 0 {
		h += "Content-Length: " + strconv.Itoa(length) + "\r\n"
	}
	return h + "\r\n"
}

const gateway = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>"

// cuts are before the call, before its reply, in it and after it; and replies
// that are whole, and none.
var cuts = map[string]cut{
	"before the call": func(w http.ResponseWriter, _ func(http.ResponseWriter)) { raw(w, true) },
	"before the reply": func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
		answered(serve)
		raw(w, true)
	},
	"in the head": func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
		status, body := answered(serve)
		raw(w, false, head(status, len(body))[:20])
	},
	"in the body": func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
		status, body := answered(serve)
		raw(w, false, head(status, len(body)), string(body[:len(body)/2]))
	},
	"in a body without a length": func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
		status, body := answered(serve)
		raw(w, false, head(status, -1), string(body[:2*len(body)/3]))
	},
	"after the reply": func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
		status, body := answered(serve)
		raw(w, true, head(status, len(body)), string(body))
	},
	"empty": func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
		answered(serve)
		raw(w, false, head(200, 0))
	},
	"without what it is about": func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
		_, body := answered(serve)
		root, _, _ := scanXML(body)
		whole := "<" + root + `><requestId>r</requestId></` + root + ">"
		if strings.HasPrefix(root, "Describe") { // nothing is a good answer to these
			whole = whole[:len(whole)/2]
		}
		raw(w, false, head(200, len(whole)), whole)
	},
	"a page with 200": func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
		answered(serve)
		raw(w, false, head(200, len(gateway)), gateway)
	},
	"a page with 502": func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
		answered(serve)
		raw(w, false, head(502, len(gateway)), gateway)
	},
	"a number that is none": func(w http.ResponseWriter, serve func(http.ResponseWriter)) {
		_, body := answered(serve)
		root, _, _ := scanXML(body)
		odd := "<" + root + "><instancesSet><item><amiLaunchIndex>one</amiLaunchIndex></item></instancesSet></" + root + ">"
		if root != "RunInstancesResponse" {
			odd = "<" + root + ">&nosuch;</" + root + ">"
		}
		raw(w, false, head(200, len(odd)), odd)
	},
}

// scene is a part of a life that ends in a known inventory.
type scene struct {
	name    string
	prepare func(w *world) // undisturbed
	play    func(w *world)
}

const west = "us-west-2"

// cancelled is the scene whose import must not end by itself, on however slow a machine.
const cancelled = "an import that is cancelled"

// all is a build that makes every call of a build on Linux.
func all() *EBS {
	b := whole()
	b.UserData = "#!/bin/sh" // so that the console is asked for host keys
	b.VPCFilter.Filters = map[string]string{"is-default": "true"}
	b.SubnetFilter.MostFree = true
	b.AMIRegions = []string{west}
	b.Sharing.Users, b.Sharing.SnapshotUsers = []string{"123456789012"}, []string{"123456789012"}
	b.IMDSSupport = "v2.0"
	b.DeprecateAt = time.Now().AddDate(1, 0, 0).UTC().Format("2006-01-02T15:04:00Z")
	b.Protection.Enabled = true
	b.ENASupport = ptr(true)
	b.ForceDeregister, b.ForceDeleteSnapshot = true, true
	return b
}

// finished builds, insists on one instance that ever was, and one image for each
// of the regions, and then destroys everything.
func (w *world) finished(b *EBS, regions ...string) {
	w.t.Helper()
	e := w.build(&dag.MemStore{}, w.graph(b))
	w.only(1)
	ever, err := w.site().describeInstances(w.t.Context(), filter("tag:"+TagRun, "r1"))
	if err != nil || len(ever) != 1 {
		w.t.Errorf("%d instances ever were, %v", len(ever), err)
	}
	images := func() (n []int) {
		for _, r := range regions {
			at, err := w.cloud.at(w.t.Context(), Place{Region: r})
			if err != nil {
				w.t.Fatal(err)
			}
			ids, err := at.namesakes(w.t.Context(), b.AMIName)
			if err != nil {
				w.t.Fatal(err)
			}
			n = append(n, len(ids))
		}
		return n
	}
	if n := images(); slices.ContainsFunc(n, func(n int) bool { return n != 1 }) {
		w.t.Errorf("%d images in %s", n, regions)
	}
	left, err := e.Destroy(w.t.Context(), func(dag.Record) bool { return true })
	if err != nil || len(left) > 0 {
		w.t.Errorf("destroy: %v, %v", left, err)
	}
	w.only(0)
	if n := images(); slices.ContainsFunc(n, func(n int) bool { return n != 0 }) {
		w.t.Errorf("%d images are left in %s", n, regions)
	}
}

var scenes = []scene{
	{"a build and its end", func(w *world) {
		e, err := dag.New(dag.Options{Run: "r0", Store: &dag.MemStore{}, Kinds: w.kinds()})
		if err != nil {
			w.t.Fatal(err)
		}
		if r, err := e.Solve(w.t.Context(), w.graph(template())); err != nil || len(r.Failed) > 0 {
			w.t.Fatal(r, err)
		}
	}, func(w *world) { w.finished(all(), home, west) }},
	{"a build of Windows that starts fast", func(w *world) { w.launchTemplate(home, "fast") }, func(w *world) {
		b := fromWindows()
		b.FastLaunch.TemplateName = "fast"
		w.finished(b, home)
	}},
	{"a build that is published", func(w *world) { w.launchTemplate(home, "web") }, func(w *world) {
		b := template()
		b.Publish = []Publish{{Parameter: "/images/web", Labels: []string{"current"}}, {Template: "web", SetDefault: true}}
		w.finished(b, home)
		if ids, standard := w.templateImages(home, "web"); len(ids) != 2 || standard != 2 {
			w.t.Errorf("the versions have %q, the default one is %d", ids, standard)
		}
	}},
	{"a build with as many tags as there may be", func(*world) {}, func(w *world) {
		b := template()
		b.Tags = many[dag.Text]("image", maxTags)
		w.finished(b, home)
	}},
	{"the cheapest spot instance", func(*world) {}, func(w *world) {
		b := template()
		b.InstanceType, b.SpotTypes, b.Price, b.AllocationStrategy = "", []string{"m5.large", "t2.micro"}, "auto", "lowest-price"
		w.finished(b, home)
	}},
	{"an image of volumes", func(*world) {}, func(w *world) {
		e := w.build(&dag.MemStore{}, w.wired(surrogate(), "amazon-ebssurrogate"))
		if v := w.inventory(); len(v.images) != 1 || len(v.snapshots) != 2 || len(v.instances)+len(v.volumes)+len(v.keys)+len(v.groups) != 0 {
			w.t.Errorf("left %+v", v)
		}
		w.destroyed(e)
		w.only(0)
	}},
	{"an image of a volume that became the root", func(*world) {}, func(w *world) {
		e := w.build(&dag.MemStore{}, w.wired(swapping(), "amazon-ebssurrogate"))
		w.destroyed(e)
		w.only(0)
	}},
	{"a build whose machine has a role", func(*world) {}, func(w *world) {
		b := template()
		b.TemporaryPolicy = reading
		w.finished(b, home)
		w.front.setCut(nil)
		w.nothingOfIAM()
		maps.DeleteFunc(w.front.calls, func(action string, _ int) bool { return strings.HasPrefix(action, "List") }) // of that look
	}},
	{"the endpoint of a network", func(w *world) {
		subnets, err := w.raw().DescribeSubnets(w.t.Context(), &ec2.DescribeSubnetsInput{})
		if err != nil || len(subnets.Subnets) == 0 {
			w.t.Fatal(err, "no subnets")
		}
		w.connectEndpoint(*subnets.Subnets[0].SubnetId, false)
	}, func(w *world) {
		if _, err := (FindConnectEndpoint{Place: here, Network: dag.Lit(Network{})}).Do(w.t.Context(), w.cloud, task("e")); err != nil {
			w.t.Error(err)
		}
	}},
	{"volumes and a snapshot", func(*world) {}, func(w *world) {
		e := w.build(&dag.MemStore{}, w.wired(twoVolumes(), "amazon-ebsvolume"))
		w.volumesLeft(2, 1)
		w.destroyed(e)
		w.only(0)
	}},
	{"a password", func(w *world) {
		var mu sync.Mutex
		var key *rsa.PublicKey
		w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
			mu.Lock()
			defer mu.Unlock()
			switch action {
			case "ImportKeyPair":
				key = imported(w.t, form)
			case "GetPasswordData":
				tell(rw, form.Get("InstanceId"), seal(w.t, key, "secret"))
				return true
			}
			return false
		})
	}, func(w *world) {
		b := windows()
		b.PublicIP = ptr(true)
		w.finished(b, home)
	}},
	{"a search for orphans", func(w *world) {
		w.stray("lost")
		client, _, err := w.cloud.client(w.t.Context(), Access{}, home)
		if err != nil {
			w.t.Fatal(err)
		}
		_, err = client.CreateVolume(w.t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: ptr(home + "a"), Size: ptr(int32(1)),
			TagSpecifications: tagged(map[string]string{TagRun: "lost", TagToken: "imgflow-lost-x-1"}, types.ResourceTypeVolume)})
		if err != nil {
			w.t.Fatal(err)
		}
	}, func(w *world) {
		if err := w.site().renew(w.t.Context(), "lost", w.cloud.expires(time.Now())); err != nil {
			w.t.Errorf("renew: %v", err)
		}
		now := time.Duration(0)
		found, err := w.cloud.Orphans(w.t.Context(), OrphanFilter{Regions: []string{home}, OlderThan: &now})
		if err != nil {
			w.t.Errorf("search: %v", err)
		}
		for _, o := range found {
			if err := w.cloud.Remove(w.t.Context(), o); err != nil {
				w.t.Errorf("remove %s: %v", o.ID, err)
			}
		}
		w.only(0)
	}},
	{"an import and its end", (*world).disks, func(w *world) {
		e := w.build(&dag.MemStore{}, w.imports(wholeImport()))
		w.leaves(1, 0)
		left, err := e.Destroy(w.t.Context(), func(dag.Record) bool { return true })
		if err != nil || len(left) > 0 {
			w.t.Errorf("destroy: %v, %v", left, err)
		}
		w.leaves(0, 0)
	}},
	{cancelled, (*world).disks, func(w *world) {
		o := w.object("cancelled")
		do := task("imgflow-cancelled-3")
		i, err := ImportImage{Place: here, Object: dag.Lit(o)}.Do(w.t.Context(), w.cloud, do)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := i.Undo(w.t.Context(), w.cloud, do); err != nil {
			w.t.Error(err)
		}
		if err := o.Undo(w.t.Context(), w.cloud, do); err != nil {
			w.t.Error(err)
		}
		if ever := w.tasks(); len(ever) != 1 {
			w.t.Errorf("%d import tasks ever were", len(ever))
		}
		for _, u := range w.left("multipart-upload") {
			w.t.Errorf("the upload %s is left", u)
		}
		if n := len(w.left("object")) + len(w.left("image")); n > 0 {
			w.t.Errorf("%d things are left", n)
		}
	}},
}

// perform plays a scene in a world of its own, in which some answers are cut.
func (s scene) perform(t *testing.T, cut func(action string, n int) cut) (calls map[string]int) {
	latency := "import=200ms"
	if s.name == cancelled {
		latency = "import=1h"
	}
	w := newWorldOf(t, ec2local.Options{Latency: latency})
	w.cloud.o.ConsistencyWindow = 50 * time.Millisecond
	s.prepare(w)
	clear(w.front.calls)
	w.front.cut = cut
	s.play(w)
	return w.front.calls
}

// harmless are cuts after which some calls have nothing left to ask.
var harmless = []string{"after the reply", "without what it is about", "a number that is none"}

// makers are the calls from whose reply an id is taken.
var makers = []string{"RunInstances", "CreateImage", "CreateSnapshot", "RegisterImage", "CopyImage", "ImportKeyPair", "CreateSecurityGroup", "CreateMultipartUpload", "ImportImage"}

var every = flag.Bool("every", false, "cut every call in every way, and die at every write, not at some")

// TestEveryCallCut cuts every call that there is: all end in the one right
// inventory, and nothing is launched twice. With -every, and of calls from which an id
// is taken, it is in every way, else in one of three; scenes of which every other call is cut
// take one way of four, each another one.
func TestEveryCallCut(t *testing.T) {
	none := func(string, int) cut { return nil }
	seen := map[string]bool{}
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, 16) // a scene mostly waits
	run := func(name string, f func(t *testing.T)) {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			t.Run(name, f)
		})
	}
	for k, s := range scenes {
		var actions []string
		for _, action := range slices.Sorted(maps.Keys(s.perform(t, none))) {
			if !seen[action] {
				seen[action] = true
				actions = append(actions, action)
			}
		}
		for i, name := range slices.Sorted(maps.Keys(cuts)) {
			how := cuts[name]
			for j, action := range actions {
				if !*every && (i+j)%3 != 0 && !slices.Contains(makers, action) {
					continue
				}
				run(action+"/"+name, func(t *testing.T) {
					calls := s.perform(t, func(a string, n int) cut {
						if a == action && n == 1 {
							return how
						}
						return nil
					})
					if action == "CreateSnapshot" && name != "after the reply" && calls["DescribeSnapshots"] > 0 {
						return // it is looked for what the call has made
					}
					if calls[action] < 2 && (!slices.Contains(harmless, name) || name != "after the reply" && slices.Contains(makers, action)) {
						t.Error("it was not called again")
					}
				})
			}
			if !*every && (i+k)%4 != 0 {
				continue
			}
			run("every other call of "+s.name+"/"+name, func(t *testing.T) {
				s.perform(t, func(_ string, n int) cut {
					if n%2 == 1 {
						return how
					}
					return nil
				})
			})
		}
	}
	for f := range reflect.TypeFor[API]().Fields() {
		if !seen[f.Name] {
			t.Errorf("no scene calls %s", f.Name)
		}
	}
}
