package sessionmanager

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The kinds of messages of a data channel.
const (
	kindInput  = "input_stream_data"  // from the client
	kindOutput = "output_stream_data" // from the agent
	kindAck    = "acknowledge"
	kindClosed = "channel_closed"
)

// What the payload of a numbered message is.
const (
	payloadData              = 1
	payloadHandshakeRequest  = 5
	payloadHandshakeResponse = 6
	payloadHandshakeComplete = 7
	payloadFlag              = 10
)

// Flags, the payloads of payloadFlag: four bytes, the highest first.
const (
	flagTerminate    = 2
	flagConnectError = 3
)

// A message is one of a data channel. On its way it is a header of 116 bytes, the length
// of the payload, and the payload:
//
//	  0  4  length of the header
//	  4 32  kind, filled up with blanks
//	 36  4  version, 1
//	 40  8  time, in milliseconds
//	 48  8  number
//	 56  8  flags: 1 first of a sequence, 2 last
//	 64 16  id, its second half first
//	 80 32  SHA-256 of the payload
//	112  4  what the payload is
//	116  4  length of the payload
//
// All numbers have their highest byte first.
type message struct {
	kind    string
	number  int64
	flags   uint64
	id      uuid.UUID
	what    uint32
	payload []byte
}

const (
	headerSize  = 116
	payloadFrom = headerSize + 4
)

func (m *message) encode() []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, payloadFrom+len(m.payload)), headerSize)
	b = append(b, m.kind...)
	for len(b) < 36 {
		b = append(b, ' ')
	}
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint64(b, uint64(time.Now().UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(m.number))
	b = binary.BigEndian.AppendUint64(b, m.flags)
	b = append(append(b, m.id[8:]...), m.id[:8]...)
	sum := sha256.Sum256(m.payload)
	b = append(b, sum[:]...)
	b = binary.BigEndian.AppendUint32(b, m.what)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.payload)))
	return append(b, m.payload...)
}

var errMessage = errors.New("what came is no message of a data channel")

// decode reads a message; its payload is part of b. Later versions may have a longer
// header, whose length is given.
func decode(b []byte) (*message, error) {
	if len(b) < payloadFrom {
		return nil, errMessage
	}
	size := binary.BigEndian.Uint32(b)
	if size < headerSize || uint64(size)+4 > uint64(len(b)) {
		return nil, errMessage
	}
	m := &message{
		kind:    strings.TrimRight(string(b[4:36]), " \x00"),
		number:  int64(binary.BigEndian.Uint64(b[48:])),
		flags:   binary.BigEndian.Uint64(b[56:]),
		what:    binary.BigEndian.Uint32(b[112:]),
		payload: b[size+4:],
	}
	copy(m.id[8:], b[64:72])
	copy(m.id[:8], b[72:80])
	if n := binary.BigEndian.Uint32(b[size:]); uint64(n) != uint64(len(m.payload)) {
		return nil, errMessage
	}
	if sum := sha256.Sum256(m.payload); len(m.payload) > 0 && !bytes.Equal(sum[:], b[80:112]) {
		return nil, errMessage
	}
	return m, nil
}

// acknowledgement says that a message has come.
type acknowledgement struct {
	Kind       string `json:"AcknowledgedMessageType"`
	ID         string `json:"AcknowledgedMessageId"`
	Number     int64  `json:"AcknowledgedMessageSequenceNumber"`
	Sequential bool   `json:"IsSequentialMessage"`
}

func (m *message) acknowledged() []byte {
	p, _ := json.Marshal(acknowledgement{m.kind, m.id.String(), m.number, true}) // plain data always marshals
	return (&message{kind: kindAck, flags: 3, id: uuid.New(), payload: p}).encode()
}

// opening is the first message of a client, as text.
type opening struct {
	Version       string `json:"MessageSchemaVersion"`
	Request       string `json:"RequestId"`
	Token         string `json:"TokenValue"`
	Client        string `json:"ClientId"`
	ClientVersion string
}

// A handshakeRequest is what the agent asks of the client.
type handshakeRequest struct {
	AgentVersion string
	Actions      []handshakeAction `json:"RequestedClientActions"`
}

type handshakeAction struct {
	Type       string          `json:"ActionType"`
	Parameters json.RawMessage `json:"ActionParameters"`
}

// The actions of a handshake.
const (
	actionSession = "SessionType"
	actionEncrypt = "KMSEncryption"
)

type sessionType struct {
	Type       string `json:"SessionType"`
	Properties json.RawMessage
}

type handshakeResponse struct {
	ClientVersion string
	Processed     []processedAction `json:"ProcessedClientActions"`
	Errors        []string
}

type processedAction struct {
	Type   string `json:"ActionType"`
	Status int    `json:"ActionStatus"` // 1 done, 2 failed, 3 not known
	Result any    `json:"ActionResult"`
	Error  string
}
