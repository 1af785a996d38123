package ec2local

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/imgflow/imgflow/internal/ec2local/guest"
	"github.com/imgflow/imgflow/internal/nettest"
	"github.com/imgflow/imgflow/internal/sessionmanager"
)

// managed is an instance with a profile and a server behind its port 2222 that says what
// it is told.
func managed(t *testing.T, b *bench) string {
	t.Helper()
	b.raw("iam", "2010-05-08", "Action", "CreateInstanceProfile", "InstanceProfileName", "managed")
	id := b.run(func(in *ec2.RunInstancesInput) {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String("managed")}
	})
	i := b.until(id, "running")
	echoAt(t, *i.PrivateIpAddress)
	return id
}

// echoAt has a server at the port that guests of tests have for SSH.
func echoAt(t *testing.T, addr string) {
	t.Helper()
	nettest.Serve(t, "tcp", net.JoinHostPort(addr, "2222"), func(c net.Conn) { io.Copy(c, c) })
}

func (b *bench) begin(target, port string) object {
	b.t.Helper()
	return b.done("ssm", "StartSession", object{"Target": target, "DocumentName": forwarding, "Reason": "why", "Parameters": object{"portNumber": []string{port}}})
}

// through opens the data channel of a session as a client has it.
func (b *bench) through(answer object) (*sessionmanager.Client, error) {
	of := func(answer object) sessionmanager.Session {
		return sessionmanager.Session{ID: answer["SessionId"].(string), URL: answer["StreamUrl"].(string), Token: answer["TokenValue"].(string)}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return sessionmanager.Open(ctx, of(answer), sessionmanager.Dialer{HTTP: &http.Client{}, Resume: func(context.Context) (sessionmanager.Session, error) {
		return of(b.done("ssm", "ResumeSession", object{"SessionId": answer["SessionId"]})), nil
	}})
}

func says(t *testing.T, c net.Conn, text string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	got := make([]byte, len(text))
	go io.WriteString(c, text)
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, []byte(text)) {
		t.Errorf("%.20q, %v", got, err)
	}
}

func (b *bench) sessions(state string) []any {
	b.t.Helper()
	return b.done("ssm", "DescribeSessions", object{"State": state})["Sessions"].([]any)
}

// A session reaches a port of its instance, by the number that the service usually has, and
// outlives its connection.
func TestSessions(t *testing.T) {
	b := newBench(t)
	id := managed(t, b)
	answer := b.begin(id, "22")
	client, err := b.through(answer)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := client.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	says(t, conn, "hello")
	b.server.CutSessions()
	says(t, conn, strings.Repeat("again ", 10_000))
	active := b.sessions("Active")
	if len(active) != 1 || active[0].(object)["Target"] != id || active[0].(object)["Reason"] != "why" || len(b.sessions("History")) != 0 {
		t.Errorf("%v", active)
	}
	if n := len(b.server.Inventory().Of("session")); n != 1 {
		t.Errorf("%d in the inventory", n)
	}
	b.done("ssm", "TerminateSession", object{"SessionId": answer["SessionId"]})
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
	if len(b.sessions("Active")) != 0 || len(b.sessions("History")) != 1 {
		t.Error("it was terminated and is active")
	}
	b.refused("ssm", "ResumeSession", object{"SessionId": answer["SessionId"]}, "DoesNotExistException", "")
}

// A session ends with the run of its instance, and with its server.
func TestSessionsEnd(t *testing.T) {
	for name, end := range map[string]func(b *bench, id string){
		"stop":   func(b *bench, id string) { b.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}}) },
		"reboot": func(b *bench, id string) { b.host.get(id).exit(guest.Reboot) },
		"server": func(b *bench, id string) { b.stop(); b.start() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			id := managed(t, b)
			client, err := b.through(b.begin(id, "22"))
			if err != nil {
				t.Fatal(err)
			}
			end(b, id)
			select {
			case <-client.Done():
			case <-time.After(20 * time.Second):
				t.Error("the client's side goes on")
			}
			eventually(t, "it ends", func() bool { return len(b.sessions("Active")) == 0 })
		})
	}
}

func TestSessionsAreRefused(t *testing.T) {
	b := newBench(t)
	bare := b.run()
	b.until(bare, "running")
	id := managed(t, b)
	of := func(change object) object {
		q := object{"Target": id, "DocumentName": forwarding, "Parameters": object{"portNumber": []string{"22"}}}
		for k, v := range change {
			q[k] = v
		}
		return q
	}
	for _, x := range []struct {
		change object
		code   string
	}{
		{object{"Target": bare}, "TargetNotConnected"},
		{object{"Target": "i-00000000000000000"}, "TargetNotConnected"},
		{object{"DocumentName": "SSM-SessionManagerRunShell"}, "InvalidDocument"},
		{object{"Parameters": object{"portNumber": []string{"70000"}}}, "InvalidParameters"},
		{object{"Parameters": object{"portNumber": []string{}}}, "InvalidParameters"},
		{object{"Parameters": object{"host": []string{"elsewhere"}}}, "InvalidParameters"},
		{object{"Reason": strings.Repeat("x", 257)}, "ValidationException"},
	} {
		b.refused("ssm", "StartSession", of(x.change), x.code, "")
	}
	b.refused("ssm", "ResumeSession", object{"SessionId": "none"}, "DoesNotExistException", "")
	b.refused("ssm", "TerminateSession", object{"SessionId": "none"}, "DoesNotExistException", "")
	b.refused("ssm", "DescribeSessions", object{"State": "Any"}, "ValidationException", "")
	b.refused("ssm", "DescribeSessions", object{"State": "Active", "Filters": []object{{"key": "AccessType", "value": "x"}}}, "InvalidFilterKey", "")

	answer := b.begin(id, strconv.Itoa(2222))
	forged := object{"SessionId": answer["SessionId"], "StreamUrl": answer["StreamUrl"], "TokenValue": newToken()}
	r, err := http.Get("http" + strings.TrimPrefix(forged["StreamUrl"].(string), "ws"))
	if err != nil || r.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("a request that is for no WebSocket: %v, %v", r, err)
	}
	client, err := sessionmanager.Open(mustEnd(t), sessionmanager.Session{URL: forged["StreamUrl"].(string), Token: newToken()}, sessionmanager.Dialer{HTTP: &http.Client{}, Resume: func(context.Context) (sessionmanager.Session, error) {
		return sessionmanager.Session{}, &sessionmanager.GoneError{Err: io.EOF}
	}})
	if err == nil {
		client.Close()
		t.Error("opened with another token")
	}
}

func mustEnd(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}
