package secrettest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// A secret is found however it is written, wherever it stands.
func TestASecretIsFound(t *testing.T) {
	const secret = `hunter "2" ü?>~`
	quoted, err := json.Marshal(map[string]string{"password": secret})
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"it is " + secret, string(quoted), "?password=" + url.QueryEscape(secret), fmt.Sprintf("%x", "it is "+secret+" here")}
	for n := range 7 {
		text := strings.Repeat("x", n) + secret + strings.Repeat("y", n%3)
		texts = append(texts, base64.StdEncoding.EncodeToString([]byte(text)), base64.URLEncoding.EncodeToString([]byte(text)))
	}
	for _, text := range texts {
		if err := In("a text", []byte(text), []string{"another", secret}); err == nil || !strings.HasPrefix(err.Error(), "a text holds the secret ") {
			t.Errorf("not found in %s: %v", text, err)
		}
	}
	if err := In("a text", []byte("hunter 2"), []string{secret}); err != nil {
		t.Error(err)
	}
}

func TestASecretIsOfATestAndItsParts(t *testing.T) {
	Hide(t, "hunter2", "hunter3")
	for _, part := range []string{"one", "two"} {
		t.Run(part, func(t *testing.T) {
			Hide(t, "hunter-"+part)
			if got := slices.Sorted(slices.Values(Of(t))); !slices.Equal(got, []string{"hunter-" + part, "hunter2", "hunter3"}) {
				t.Errorf("part %s hides %q", part, got)
			}
		})
	}
	if got := Of(t); len(got) != 4 {
		t.Errorf("it hides %q", got)
	}
}
