package wsman

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/crypto/md4" //lint:ignore SA1019 NTLM is made of it
)

// Flags of NTLM messages.
const (
	ntlmUnicode       = 0x00000001
	ntlmRequestTarget = 0x00000004
	ntlmSign          = 0x00000010
	ntlmSeal          = 0x00000020
	ntlmNTLM          = 0x00000200
	ntlmAlwaysSign    = 0x00008000
	ntlmTargetServer  = 0x00020000
	ntlmExtended      = 0x00080000
	ntlmTargetInfo    = 0x00800000
	ntlmVersion       = 0x02000000
	ntlm128           = 0x20000000
	ntlmKeyExchange   = 0x40000000
	ntlm56            = 0x80000000

	ntlmNeeded    = ntlmUnicode | ntlmExtended | ntlm128 // as Windows demands it
	ntlmSupported = ntlmNeeded | ntlmRequestTarget | ntlmSign | ntlmSeal | ntlmNTLM | ntlmAlwaysSign | ntlmVersion | ntlmKeyExchange | ntlm56
)

// Values in a target information.
const (
	avEnd         = 0
	avComputer    = 1
	avDomain      = 2
	avDNSComputer = 3
	avDNSDomain   = 4
	avFlags       = 6
	avTimestamp   = 7
	avBindings    = 10

	avFlagMIC = 2
)

var (
	ntlmSignature = []byte("NTLMSSP\x00")
	errNTLM       = errors.New("not an acceptable NTLM message")
	errLogon      = errors.New("the user name or password is incorrect")
)

// ntlmType is a message's type, 0 for anything else.
func ntlmType(m []byte) uint32 {
	if len(m) < 12 || !bytes.HasPrefix(m, ntlmSignature) {
		return 0
	}
	return binary.LittleEndian.Uint32(m[8:])
}

// handshake is an authentication by NTLM that has begun.
type handshake struct {
	negotiate []byte // the messages, for the integrity code over all three
	challenge []byte
	nonce     [8]byte
	flags     uint32
}

// challengeNTLM answers the first message.
func challengeNTLM(negotiate []byte, svc Service) (*handshake, error) {
	if ntlmType(negotiate) != 1 || len(negotiate) < 16 {
		return nil, errNTLM
	}
	asked := binary.LittleEndian.Uint32(negotiate[12:])
	// A client may name its domain in OEM characters here and go on in Unicode.
	h := &handshake{negotiate: bytes.Clone(negotiate), flags: asked&ntlmSupported | ntlmUnicode | ntlmNTLM | ntlmTargetServer | ntlmTargetInfo}
	rand.Read(h.nonce[:]) // never fails
	host := strings.ToUpper(svc.Host)
	target := utf16LE(host)
	var info []byte
	add := func(id uint16, v []byte) {
		info = binary.LittleEndian.AppendUint16(info, id)
		info = binary.LittleEndian.AppendUint16(info, uint16(len(v)))
		info = append(info, v...)
	}
	add(avDomain, target)
	add(avComputer, target)
	add(avDNSDomain, utf16LE(svc.Host))
	add(avDNSComputer, utf16LE(svc.Host))
	add(avTimestamp, binary.LittleEndian.AppendUint64(nil, uint64(time.Now().UnixNano()/100+116444736000000000)))
	add(avEnd, nil)

	const head = 56
	le := binary.LittleEndian
	m := append([]byte{}, ntlmSignature...)
	m = le.AppendUint32(m, 2)
	m = appendField(m, len(target), head)
	m = le.AppendUint32(m, h.flags)
	m = append(m, h.nonce[:]...)
	m = append(m, make([]byte, 8)...)
	m = appendField(m, len(info), head+len(target))
	m = append(m, ntlmVersionOf(svc.Version)...)
	m = append(m, target...)
	h.challenge = append(m, info...)
	return h, nil
}

func appendField(m []byte, size, at int) []byte {
	m = binary.LittleEndian.AppendUint16(m, uint16(size))
	m = binary.LittleEndian.AppendUint16(m, uint16(size))
	return binary.LittleEndian.AppendUint32(m, uint32(at))
}

// ntlmVersionOf is the operating system's version in eight bytes.
func ntlmVersionOf(version string) []byte {
	part := strings.Split(version+"..", ".")
	number := func(i int, bits int) uint64 {
		n, _ := strconv.ParseUint(part[i], 10, bits) // 0 for what is no number
		return n
	}
	v := []byte{byte(number(0, 8)), byte(number(1, 8))}
	v = binary.LittleEndian.AppendUint16(v, uint16(number(2, 16)))
	return append(v, 0, 0, 0, 15)
}

// authenticate checks the third message. It costs the same whether the user exists
// or not.
func (h *handshake) authenticate(m []byte, svc Service, b Backend, binding []byte) (user string, s *session, err error) {
	const head = 64
	if ntlmType(m) != 3 || len(m) < head {
		return "", nil, errNTLM
	}
	payload := uint32(len(m)) // where the first of the fields begins
	field := func(at int) (v []byte, ok bool) {
		n, off := uint32(binary.LittleEndian.Uint16(m[at:])), binary.LittleEndian.Uint32(m[at+4:])
		if n == 0 {
			return nil, true
		}
		if off < head || off > uint32(len(m)) || n > uint32(len(m))-off {
			return nil, false
		}
		payload = min(payload, off)
		return m[off : off+n], true
	}
	var f [4][]byte
	for i, at := range []int{20, 28, 36, 52} {
		var ok bool
		if f[i], ok = field(at); !ok {
			return "", nil, errNTLM
		}
	}
	response, domain, name, key := f[0], f[1], f[2], f[3]
	flags := binary.LittleEndian.Uint32(m[60:]) & h.flags
	const least = 16 + 28 + 4 // the proof and an empty challenge of the client: NTLMv1 is shorter
	if flags&ntlmNeeded != ntlmNeeded || len(response) < least || len(domain)%2 != 0 || len(name)%2 != 0 {
		return "", nil, errNTLM
	}
	values, ok := readValues(response[16+28:])
	if !ok || response[16] != 1 || response[17] != 1 {
		return "", nil, errNTLM
	}

	user, _ = account(fromUTF16LE(name), fromUTF16LE(domain))
	password, known := b.Password(user)
	if !known {
		password = rand.Text()
	}
	hash := md4.New()
	hash.Write(utf16LE(password))
	owner := hmacMD5(hash.Sum(nil), utf16LE(strings.ToUpper(fromUTF16LE(name))), domain)
	proof := hmacMD5(owner, h.nonce[:], response[16:])
	if !hmac.Equal(proof, response[:16]) || !known {
		return "", nil, errLogon
	}

	session := hmacMD5(owner, proof)
	if flags&ntlmKeyExchange != 0 {
		if len(key) != 16 {
			return "", nil, errNTLM
		}
		c, err := rc4.NewCipher(session)
		if err != nil {
			return "", nil, err
		}
		exported := make([]byte, 16)
		c.XORKeyStream(exported, key)
		session = exported
	}
	if v := values[avFlags]; len(v) == 4 && binary.LittleEndian.Uint32(v)&avFlagMIC != 0 {
		const at = 72
		if payload < at+16 {
			return "", nil, errNTLM
		}
		blank := bytes.Clone(m)
		clear(blank[at : at+16])
		if !hmac.Equal(hmacMD5(session, h.negotiate, h.challenge, blank), m[at:at+16]) {
			return "", nil, errLogon
		}
	}
	if binding != nil && !bindingFits(values[avBindings], binding, svc.CbtHardening) {
		return "", nil, errLogon
	}
	s, err = newSession(session, flags)
	return user, s, err
}

// readValues takes a target information apart.
func readValues(b []byte) (map[uint16][]byte, bool) {
	values := map[uint16][]byte{}
	for len(b) >= 4 {
		id, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if id == avEnd {
			return values, true
		}
		if b = b[4:]; n > len(b) {
			return nil, false
		}
		values[id], b = b[:n], b[n:]
	}
	return nil, false
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func utf16LE(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func fromUTF16LE(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
