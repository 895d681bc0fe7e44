package kmstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
)

// AddKey adds a symmetric key.
func (s *Service) AddKey(id string) {
	material := make([]byte, 32)
	_, _ = rand.Read(material)
	block, _ := aes.NewCipher(material)
	aead, _ := cipher.NewGCMWithRandomNonce(block)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[id] = aead
}

// RemoveKey removes a key, as its operator does when it is no longer needed.
func (s *Service) RemoveKey(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, id)
}

func keyNotFound() error {
	return failure{http.StatusNotFound, "Forbidden.KeyNotFound", "The specified Key is not found."}
}

// associated writes an encryption context in one form only: JSON sorts its members.
func associated(form url.Values) ([]byte, error) {
	var members map[string]string
	text := form.Get("EncryptionContext")
	if text != "" && json.Unmarshal([]byte(text), &members) != nil {
		return nil, badRequest("the encryption context isn't JSON")
	}
	return json.Marshal(members)
}

func (s *Service) generateDataKey(form url.Values) (any, error) {
	id, context, err := form.Get("KeyId"), []byte(nil), error(nil)
	if context, err = associated(form); err != nil {
		return nil, err
	}
	key := s.keys[id]
	switch {
	case key == nil:
		return nil, keyNotFound()
	case form.Get("KeySpec") != "AES_256":
		return nil, badRequest("not a key of 256 bits")
	}
	plain := make([]byte, 32)
	_, _ = rand.Read(plain)
	wrapped := append([]byte(id+":"), key.Seal(nil, nil, plain, context)...)
	return map[string]any{
		"KeyId": id, "KeyVersionId": "00000000-0000-4000-8000-000000000001",
		"CiphertextBlob": base64.StdEncoding.EncodeToString(wrapped),
		"Plaintext":      base64.StdEncoding.EncodeToString(plain),
	}, nil
}

func (s *Service) decrypt(form url.Values) (any, error) {
	context, err := associated(form)
	if err != nil {
		return nil, err
	}
	wrapped, _ := base64.StdEncoding.DecodeString(form.Get("CiphertextBlob"))
	id, sealed, _ := bytes.Cut(wrapped, []byte(":"))
	key := s.keys[string(id)]
	if key == nil {
		return nil, keyNotFound()
	}
	plain, err := key.Open(nil, nil, sealed, context)
	if err != nil {
		return nil, failure{
			http.StatusBadRequest, "InvalidParameter", "The ciphertext or context is not valid.",
		}
	}
	return map[string]any{
		"KeyId": string(id), "KeyVersionId": "00000000-0000-4000-8000-000000000001",
		"Plaintext": base64.StdEncoding.EncodeToString(plain),
	}, nil
}
