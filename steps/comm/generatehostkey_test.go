package comm

import "testing"

func TestGenerateHostKey(t *testing.T) {
	t.Parallel()
	l := newLab(t, Machine{})
	k, err := GenerateHostKey{}.Do(t.Context(), l.env, l.task)
	if err != nil || k.Type != "ed25519" || k.Secret == "" {
		t.Errorf("%+v %v", k, err)
	}
	again, err := GenerateHostKey{}.Do(t.Context(), l.env, l.task)
	if err != nil || again != k {
		t.Errorf("%+v, want %+v: %v", again, k, err)
	}
	login, err := GenerateKey{}.Do(t.Context(), l.env, l.task)
	if err != nil || login.Secret == k.Secret {
		t.Errorf("a host key and a key to log in with are both %q, %v", k.Secret, err)
	}
}
