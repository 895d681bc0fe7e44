package api_test

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"bindery/shared/config"
	"bindery/shared/provider"
)

// forge is a sixth platform, bound by token. It accepts one token.
type forge struct{ origin string }

const forgeToken = "forge-token-EXAMPLE"

func forgeRegistration() provider.Registration {
	return provider.Registration{
		Name: "forge",
		Origins: []provider.Origin{
			{Variable: "BINDERY_FORGE_URL", Title: "Forge", Default: "https://forge.example"},
		},
		New: func(e provider.Environment) provider.Platform { return forge{e.Origins[0]} },
	}
}

func (f forge) Describe() provider.Description {
	return provider.Description{
		Name: "forge", Title: "Forge", Method: provider.ByToken, Fields: []string{"token"},
	}
}

func (f forge) Check(context.Context, provider.Credential) (provider.CheckResult, error) {
	return provider.CheckResult{
		Identity: provider.Identity{ID: "1", Username: "alice"}, GitUsername: "alice",
	}, nil
}

func (f forge) Verify(ctx context.Context, s provider.Submission) (provider.CheckResult, error) {
	result, err := f.Check(ctx, provider.Credential{})
	result.Token = s.Token
	return result, err
}

func (f forge) Revoke(context.Context, provider.App, provider.Credential) error {
	return provider.ErrNoRevoke
}

func (f forge) RevokeURL(string) string { return f.origin + "/tokens" }

func TestASixthPlatformIsAddedByItsRegistration(t *testing.T) {
	w := newWorld(t, func(env map[string]string, w *world) {
		w.platforms = append(w.platforms, forgeRegistration())
		env["BINDERY_FORGE_URL"] = "https://FORGE.proxy.example/"
	})
	w.client.Transport = http.DefaultTransport // the contract lists five platforms

	var names []string
	for _, p := range w.get("/v1/platforms").ok().list("platforms") {
		names = append(names, p["platform"].(string))
	}
	if want := append(provider.Names(), "forge"); !slices.Equal(names, want) {
		t.Errorf("the platforms are %q, want %q", names, want)
	}
	if got := w.binding(home, "forge")["status"]; got != "unbound" {
		t.Errorf("before it is bound, the binding is %v", got)
	}
	bound := w.put(home+"/forge", map[string]any{"token": forgeToken}).ok().json()
	if bound["platform"] != "forge" || bound["status"] != "bound" {
		t.Errorf("binding answers %v", bound)
	}
	gone := w.do(request{method: "DELETE", path: home + "/forge"}).ok()
	if page := gone.text("revokeUrl"); page != "https://forge.proxy.example/tokens" {
		t.Errorf("the page to revoke is %q: the variable didn't replace the origin", page)
	}
}

func TestASixthPlatformsVariableIsChecked(t *testing.T) {
	platforms := append(provider.Platforms(), forgeRegistration())
	_, err := config.ReadFor(platforms, func(name string) string {
		if name == "BINDERY_FORGE_URL" {
			return "ftp://forge.example"
		}
		return ""
	})
	if err == nil || !strings.Contains(err.Error(), "BINDERY_FORGE_URL doesn't begin with https://") {
		t.Errorf("a wrong origin is reported as %v", err)
	}
}

func TestTheContractListsTheRegisteredPlatforms(t *testing.T) {
	schema, ok := readContract(t).model.Components.Schemas.Get("PlatformName")
	if !ok {
		t.Fatal("the contract has no schema PlatformName")
	}
	var listed []string
	for _, node := range schema.Schema().Enum {
		listed = append(listed, node.Value)
	}
	if !slices.Equal(listed, provider.Names()) {
		t.Errorf("the contract lists the platforms %q, want %q", listed, provider.Names())
	}
}

// The functions read their environment from the clouds' templates.
func TestTheTemplatesSetEveryPlatformsVariables(t *testing.T) {
	for _, name := range []string{"s.yaml", "template.yaml"} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range provider.Platforms() {
			for _, o := range p.Origins {
				if !strings.Contains(string(text), o.Variable+": ") {
					t.Errorf("%s doesn't set %s", name, o.Variable)
				}
			}
		}
	}
}
