package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
)

// bodies calls f with every body that the contract describes.
func bodies(c *contract, f func(where string, m *v3.MediaType)) {
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			where := method + " " + path
			if operation.RequestBody != nil {
				for _, m := range operation.RequestBody.Content.FromOldest() {
					f(where, m)
				}
			}
			for status, resp := range operation.Responses.Codes.FromOldest() {
				if resp.Content == nil {
					continue
				}
				for _, m := range resp.Content.FromOldest() {
					f(where+" "+status, m)
				}
			}
		}
	}
}

// Readers copy the examples, so they must be valid, and nothing in them may look like a real token.
func TestTheContractsExamplesFitTheirSchemas(t *testing.T) {
	c := readContract(t)
	v := schema_validation.NewSchemaValidator(config.WithFormatAssertions())
	count := 0
	hold := func(where string, schema *base.Schema, decode func(any) error) {
		count++
		var value any
		if err := decode(&value); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if ok, errs := v.ValidateSchemaBytes(schema, text); !ok {
			t.Errorf("the example of %s: %s", where, strings.Join(messages(errs), "\n"))
		}
		for _, word := range []string{`"token":"`, `"confirmationCode":"`} {
			_, after, found := strings.Cut(string(text), word)
			if found && !strings.Contains(after[:min(len(after), 20)], "EXAMPLE") {
				t.Errorf("the example of %s has a secret that doesn't look fake", where)
			}
		}
	}
	bodies(c, func(where string, m *v3.MediaType) {
		if m.Example != nil {
			hold(where, m.Schema.Schema(), m.Example.Decode)
		}
		if m.Examples == nil {
			return
		}
		for _, example := range m.Examples.FromOldest() {
			hold(where, m.Schema.Schema(), example.Value.Decode)
		}
	})
	for name, schema := range c.model.Components.Schemas.FromOldest() {
		if s := schema.Schema(); s.Example != nil {
			hold(name, s, s.Example.Decode)
		}
	}
	if count < 10 {
		t.Errorf("there are only %d examples", count)
	}
}

// A field that isn't described is a mistake of Bindery or of a client.
func TestTheContractAllowsNoFieldThatItDoesNotDescribe(t *testing.T) {
	c := readContract(t)
	closed := func(where string, s *base.Schema) {
		if s.Properties == nil || s.Properties.Len() == 0 {
			return
		}
		if s.AdditionalProperties == nil || !s.AdditionalProperties.IsB() || s.AdditionalProperties.B {
			t.Errorf("%s allows other fields", where)
		}
		for _, name := range s.Required {
			if _, ok := s.Properties.Get(name); !ok {
				t.Errorf("%s requires %s, which it doesn't describe", where, name)
			}
		}
	}
	for name, schema := range c.model.Components.Schemas.FromOldest() {
		closed(name, schema.Schema())
	}
	bodies(c, func(where string, m *v3.MediaType) { closed(where, m.Schema.Schema()) })
}

// Every operation has a summary, a description and an operationId, which code generators use.
func TestTheContractDescribesEveryOperation(t *testing.T) {
	c := readContract(t)
	seen := map[string]bool{}
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method, o := range item.GetOperations().FromOldest() {
			if o.Summary == "" || o.Description == "" || len(o.Tags) != 1 || o.Security == nil {
				t.Errorf("%s %s lacks a summary, a description, a tag or its security", method, path)
			}
			if o.OperationId == "" || seen[o.OperationId] {
				t.Errorf("%s %s: the operation's id %q is missing or there twice",
					method, path, o.OperationId)
			}
			seen[o.OperationId] = true
			for _, p := range append(item.Parameters, o.Parameters...) {
				if p.Description == "" {
					t.Errorf("%s %s: the parameter %s isn't described", method, path, p.Name)
				}
			}
		}
	}
}
