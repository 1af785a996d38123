package sessionmanager

import (
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/google/uuid"
)

// The places of the fields are those that AWS's own plugin has.
func TestMessagesAreThoseOfThePlugin(t *testing.T) {
	m := message{kind: kindInput, number: 0x0102, flags: 3, id: uuid.MustParse("00112233-4455-6677-8899-aabbccddeeff"), what: payloadData, payload: []byte("hi")}
	b := m.encode()
	copy(b[40:48], make([]byte, 8)) // the time
	want := "00000074" + hex.EncodeToString([]byte("input_stream_data               ")) + "00000001" + "0000000000000000" +
		"0000000000000102" + "0000000000000003" + "8899aabbccddeeff0011223344556677" +
		"8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4" + "00000001" + "00000002" + "6869"
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	if got, err := decode(b); err != nil || !reflect.DeepEqual(*got, m) {
		t.Errorf("%+v %v", got, err)
	}
	b[len(b)-1]++
	if _, err := decode(b); err == nil {
		t.Error("took a payload that is not that of its digest")
	}
}

func FuzzMessage(f *testing.F) {
	f.Add((&message{kind: kindAck, payload: []byte("{}")}).encode())
	f.Add([]byte("\x00\x00\x00\x74"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		if again, err := decode(m.encode()); err == nil && !reflect.DeepEqual(again.payload, m.payload) {
			t.Errorf("%q became %q", m.payload, again.payload)
		}
	})
}
