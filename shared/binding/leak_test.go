package binding_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"bindery/shared/binding/connect"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// canaries are tokens, and all output of the flows that use them.
type canaries struct {
	tokens [][]byte
	seen   bytes.Buffer
}

// see keeps a caller's result, in every form in which it may be printed.
func (c *canaries) see(values ...any) {
	for _, v := range values {
		fmt.Fprintf(&c.seen, "%v\n%+v\n%#v\n", v, v, v)
		if data, err := json.Marshal(v); err == nil {
			c.seen.Write(data)
		}
	}
}

// in reports whether one of the tokens is in the text.
func (c *canaries) in(text []byte) bool {
	for _, token := range c.tokens {
		if bytes.Contains(text, token) {
			return true
		}
	}
	return false
}

// TestD1_NoTokenIsSeenOutsideTheVault uses tokens in every flow, with a platform and a storage
// that work, and with ones that fail.
func TestD1_NoTokenIsSeenOutsideTheVault(t *testing.T) {
	newHarness(t).wantNoTokenSeen()
}

// TestD1_NoTokenIsSeenOutsideTheEnvelopeVault does the same. The vault's rows are among the files
// that are searched.
func TestD1_NoTokenIsSeenOutsideTheEnvelopeVault(t *testing.T) {
	b := newHarness(t)
	b.seal(unhooked)
	b.wantNoTokenSeen()
}

func (b *harness) wantNoTokenSeen() {
	c := &canaries{tokens: [][]byte{[]byte("glpat-"), []byte("pt-sandbox-")}}
	granted := b.consent("alice")
	c.tokens = append(c.tokens, []byte(granted.Access.Reveal()))
	b.everyFlow(c, granted)
	for _, action := range []string{"bind", "credential", "unbind"} {
		testkit.Want(b, "some "+action+" worked", len(b.audits(action)) > 0, true)
	}
	for _, kind := range []sandbox.FaultKind{
		sandbox.Fault500, sandbox.Fault429, sandbox.FaultHTML, sandbox.FaultEmpty,
		sandbox.FaultCut, sandbox.FaultRedirect, sandbox.FaultDrop,
	} {
		for _, p := range []sandbox.Platform{sandbox.GitLab, sandbox.Codeup, sandbox.GitHub} {
			b.sandbox.SetFault(p, sandbox.Fault{Kind: kind})
		}
		b.everyFlow(c, granted)
	}
	for _, p := range []sandbox.Platform{sandbox.GitLab, sandbox.Codeup, sandbox.GitHub} {
		b.sandbox.SetFault(p, sandbox.Fault{Kind: sandbox.FaultNone})
	}
	for _, call := range []string{
		"Binding", "Put", "SaveIdentityEntry", "SaveBinding", "Get", "ListIdentityEntries", "Delete",
	} {
		b.inside.set(down(call))
		b.everyFlow(c, granted)
		b.inside.clear()
	}
	if c.in(c.seen.Bytes()) {
		b.Error("a token is in a reply or an error")
	}
	if c.in([]byte(b.log.String())) {
		b.Error("a token is in the log")
	}
	b.settled()
	if err := b.store.close(); err != nil {
		b.Fatal(err)
	}
	b.look(c)
}

// look searches the files of table and vault for the tokens.
func (b *harness) look(c *canaries) {
	b.Helper()
	files := 0
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if c.in(data) {
			b.Errorf("a token is in the file %s", filepath.Base(path))
		}
		return err
	})
	if err != nil || files < 3 {
		b.Errorf("looked into %d files: %v", files, err)
	}
}

// everyFlow runs every flow that uses a token.
func (b *harness) everyFlow(c *canaries, granted provider.Token) {
	ctx := context.Background()
	codeup := connect.TokenBindRequest{
		By: user, Instance: registry("i-1"), Platform: provider.Codeup, Revoke: true,
		Submission: provider.Submission{
			Username: "alice", Token: secret.New("pt-sandbox-good"),
		},
	}
	binds := []connect.TokenBindRequest{codeup}
	for _, with := range []token{
		aliceToken, bobToken, revokedOnes,
		{"bob", aliceToken.value},
		{aliceToken.value, aliceToken.value},
		{"alice", aliceToken.value + "\n\x00"},
	} {
		in := b.gitLab("i-1", with)
		binds = append(binds, in)
		in.Submission.Address = "https://" + with.value + "@10.0.0.1/"
		binds = append(binds, in)
	}
	for _, in := range binds {
		v, err := b.Connect.BindToken(ctx, in)
		c.see(v, err, in.Submission.Token)
	}
	bundle := ledger.TokenBundle{Platform: provider.GitHub, Method: provider.ByOAuth, Token: granted}
	begun := b.Ledger.StartInvocation(ctx)
	if rec, err := b.Ledger.Record(begun, key("i-1", provider.GitHub)); err == nil {
		bound, err := b.Connect.Bind(begun, rec, bundle, provider.CheckResult{
			Identity: provider.Identity{ID: "1001", Username: "alice"},
		}, user)
		c.see(bound.Saved, bound.Old, err, bundle)
	}
	views, err := b.Connect.InstanceBindings(ctx, user.Account, registry("i-1"))
	c.see(views, err)
	for _, name := range provider.Names() {
		events, err := b.Connect.History(ctx, user.Account, registry("i-1"), name, "")
		c.see(events, err)
		view, err := b.Maintenance.CheckNow(ctx, user, registry("i-1"), name)
		c.see(view, err)
		credential, err := b.Credentials.Credential(ctx, credential.Request{
			By: user, Instance: registry("i-1"), Platform: name,
		})
		c.see(credential, err)
		out, err := b.Connect.Unbind(ctx, connect.UnbindRequest{
			By: user, Instance: registry("i-1"), Platform: name, Revoke: name != provider.GitLab,
		})
		c.see(out, err)
	}
	b.clock().Advance(ledger.OrphanGracePeriod)
	done, err := b.Maintenance.Run(ctx)
	c.see(done, err)
}
