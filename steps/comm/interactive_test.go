package comm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A person answers what a bastion asks, once for all connections, and again when an answer was refused.
func TestInteractiveBastion(t *testing.T) {
	t.Parallel()
	right := "123456"
	ep, _ := odd(t, &ssh.ServerConfig{KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		as, err := ask("", "Two questions.", []string{"Colour: ", "Code: "}, []bool{true, false})
		if err != nil || !slices.Equal(as, []string{"blue", right}) {
			return nil, errors.New("wrong")
		}
		return nil, nil
	}}, 0, nil)
	m := Machine{Endpoint: Endpoint{Protocol: "ssh", Host: "192.0.2.1", Port: 22},
		SSH: SSH{Username: "u", BastionHost: "127.0.0.1", BastionPort: ep.Port, BastionUsername: "jump", BastionInteractive: true, BastionHostKeys: ep.HostKeys, HandshakeAttempts: 1}}
	l := newLab(t, m)
	var asked []string
	reach := func() error {
		b, err := l.env.bastion(t.Context(), l.task, m)
		if err == nil {
			b.close()
		}
		return err
	}
	if err := reach(); err == nil || !isPermanent(err) || !strings.Contains(err.Error(), "nobody is at a terminal to answer 127.0.0.1") {
		t.Errorf("without anybody: %v", err)
	}
	typed := map[bool]string{true: "blue", false: "111111"}
	l.env.Prompt = func(_ context.Context, question string, echo bool) (string, error) {
		asked = append(asked, fmt.Sprintf("%s %v", question, echo))
		return typed[echo], nil
	}
	if err := reach(); err == nil || !refused(err) {
		t.Errorf("with a wrong answer: %v", err)
	}
	typed[false] = right
	for range 2 {
		if err := reach(); err != nil {
			t.Error(err)
		}
	}
	once := []string{"127.0.0.1 asks: Two questions. Colour: true", "127.0.0.1 asks: Two questions. Code: false"}
	if want := append(slices.Clone(once), once...); !slices.Equal(asked, want) {
		t.Errorf("%q, want %q", asked, want)
	}
	right = "another"
	if err := reach(); err == nil || !refused(err) {
		t.Errorf("with an answer that is good no more: %v", err)
	}
	l.env.Prompt = func(context.Context, string, bool) (string, error) { return "", io.EOF }
	if err := reach(); err == nil || !isPermanent(err) || !strings.Contains(err.Error(), `there is no answer to "Colour: "`) {
		t.Errorf("when the person has gone: %v", err)
	}
}
