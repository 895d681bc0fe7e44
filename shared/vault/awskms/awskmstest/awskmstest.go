// Package awskmstest is a fake of AWS's Key Management Service for tests: the operations
// GenerateDataKey and Decrypt for symmetric keys, over HTTP, with faults that tests switch on.
//
// It shares no code with the wrapper that it tests. It refuses what it doesn't know: other
// operations and other parameters. It checks the form of a request, but no signature and no
// permission.
package awskmstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"bindery/shared/faulttest"
)

// arn is what the ARN of a key begins with.
const arn = "arn:aws:kms:eu-test-1:123456789012:key/"

// Service is the service of one account in one region, as an [http.Handler]. Its methods may be
// called at once from many goroutines, also while it serves.
type Service struct {
	faulttest.Plan[Fault]

	mu   sync.Mutex
	keys map[string]*key // by id
}

type key struct {
	aead     cipher.AEAD
	disabled bool
}

// New returns a service that has keys with these ids.
func New(ids ...string) *Service {
	s := &Service{keys: map[string]*key{}}
	for _, id := range ids {
		material := make([]byte, 32)
		_, _ = rand.Read(material)
		block, _ := aes.NewCipher(material)
		aead, _ := cipher.NewGCMWithRandomNonce(block)
		s.keys[id] = &key{aead: aead}
	}
	return s
}

// ARN returns the ARN of a key.
func ARN(id string) string { return arn + id }

// Disable disables a key.
func (s *Service) Disable(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[id].disabled = true
}

// Fault is a failure that a test plans.
type Fault int

// The faults. With Lost and Garbled the work is done nevertheless.
const (
	// Throttled is "Rate exceeded", and nothing is done.
	Throttled Fault = iota + 1
	// Broken is an internal error of the service, status 500, and nothing is done.
	Broken
	// Lost ends the connection in place of the reply.
	Lost
	// Garbled is a reply of status 200 that is cut off, and has the whole reply in it.
	Garbled
	// Quoting refuses the request as ValidationException, and quotes all of it with its headers.
	Quoting
	// Denied is AccessDeniedException.
	Denied
	// Page is a proxy's page with status 502.
	Page
)

// failure is an error reply of the service.
type failure struct {
	status        int
	code, message string
}

func (f failure) Error() string { return f.code + ": " + f.message }

func refused(code, message string) error { return failure{http.StatusBadRequest, code, message} }

func (f Fault) refusal(r *http.Request, body []byte) error {
	switch f {
	case Throttled:
		return refused("ThrottlingException", "Rate exceeded")
	case Broken:
		return failure{http.StatusInternalServerError, "KMSInternalException", ""}
	case Quoting:
		return refused("ValidationException", fmt.Sprint(r.Header, string(body)))
	case Denied:
		return refused("AccessDeniedException",
			"User: arn:aws:sts::123456789012:assumed-role/test is not authorized")
	}
	return nil
}

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	s.Called(operation)
	fault := s.Next(operation)
	var reply any
	if err = fault.refusal(r, body); err == nil {
		reply, err = s.run(r, operation, body)
	}
	text, _ := json.Marshal(reply)
	switch fault {
	case Lost:
		panic(http.ErrAbortHandler)
	case Garbled:
		text = text[:len(text)-1]
	case Page:
		w.WriteHeader(http.StatusBadGateway)
		text = []byte("<html>")
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "00000000-0000-4000-8000-000000000001")
	var f failure
	if errors.As(err, &f) {
		w.WriteHeader(f.status)
		text, _ = json.Marshal(map[string]string{"__type": f.code, "message": f.message})
	}
	_, _ = w.Write(text)
}

// request has the parameters of both operations that the fake knows.
type request struct {
	KeyId             string //nolint:revive // as the service spells it
	KeySpec           string
	CiphertextBlob    []byte
	EncryptionContext map[string]string
}

func (s *Service) run(r *http.Request, operation string, body []byte) (any, error) {
	if r.Method != http.MethodPost || r.URL.Path != "/" ||
		r.Header.Get("Content-Type") != "application/x-amz-json-1.1" ||
		!strings.Contains(r.Header.Get("Authorization"), "/kms/aws4_request, SignedHeaders=") {
		return nil, refused("IncompleteSignatureException", "")
	}
	var in request
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return nil, refused("SerializationException", "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strings.TrimPrefix(in.KeyId, arn)
	k := s.keys[id]
	switch {
	case k == nil:
		return nil, refused("NotFoundException", "Key '"+in.KeyId+"' does not exist")
	case k.disabled:
		return nil, refused("DisabledException", in.KeyId+" is disabled.")
	case operation == "GenerateDataKey" && in.KeySpec == "AES_256" && in.CiphertextBlob == nil:
		plain := make([]byte, 32)
		_, _ = rand.Read(plain)
		return k.reply(id, plain, append([]byte(id+":"), k.seal(plain, in.EncryptionContext)...)), nil
	case operation == "Decrypt" && in.KeySpec == "":
		return k.decrypt(id, in)
	}
	return nil, refused("UnknownOperationException", "")
}

// associated writes an encryption context in one form only: JSON sorts its members.
func associated(encryptionContext map[string]string) []byte {
	text, _ := json.Marshal(encryptionContext)
	return text
}

func (k *key) seal(plain []byte, encryptionContext map[string]string) []byte {
	return k.aead.Seal(nil, nil, plain, associated(encryptionContext))
}

func (k *key) decrypt(id string, in request) (any, error) {
	wrappedBy, sealed, _ := bytes.Cut(in.CiphertextBlob, []byte(":"))
	if string(wrappedBy) != id {
		return nil, refused("IncorrectKeyException", "")
	}
	plain, err := k.aead.Open(nil, nil, sealed, associated(in.EncryptionContext))
	if err != nil {
		return nil, refused("InvalidCiphertextException", "")
	}
	return k.reply(id, plain, nil), nil
}

func (k *key) reply(id string, plain, wrapped []byte) any {
	reply := map[string]any{"KeyId": ARN(id), "Plaintext": plain}
	if wrapped != nil {
		reply["CiphertextBlob"] = wrapped
	} else {
		reply["EncryptionAlgorithm"] = "SYMMETRIC_DEFAULT"
	}
	return reply
}
