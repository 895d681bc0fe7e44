package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	sandboxcodeup "bindery/shared/sandbox/codeup"
	sandboxgitlab "bindery/shared/sandbox/gitlab"
)

// scenario is a way to cause a problem through HTTP. Each runs twice, once in each language.
type scenario struct {
	code   problem.Code
	reason string
	how    func(w *world, language string) reply
}

// bind tries to bind; odd is set if the body violates the contract.
func bind(
	platform string, body any, odd bool, settings ...func(*world),
) func(*world, string) reply {
	return func(w *world, language string) reply {
		for _, set := range settings {
			set(w)
		}
		return w.do(request{
			method: "PUT", path: home + "/" + platform, body: body, odd: odd,
			header: map[string]string{"Accept-Language": language},
		})
	}
}

func asking(method, path string, odd bool) func(*world, string) reply {
	return func(w *world, language string) reply {
		return w.do(request{
			method: method, path: path, odd: odd,
			header: map[string]string{"Accept-Language": language},
		})
	}
}

func claiming(claims map[string]any) func(*world, string) reply {
	return func(w *world, language string) reply {
		return w.do(request{
			method: "GET", path: home, as: w.issuer.token(w.t, claims),
			header: map[string]string{"Accept-Language": language},
		})
	}
}

func fault(p sandbox.Platform, f sandbox.Fault) func(*world) {
	return func(w *world) { w.box.SetFault(p, f) }
}

// callerProblems are the problems of a request.
func callerProblems() []scenario {
	return []scenario{
		{problem.InputMalformed, "required", bind("gitlab", gitlab("username", nil), true)},
		{problem.InputMalformed, "required", bind("gitlab", gitlab("address", nil), false)},
		{problem.InputMalformed, "unknown", bind("gitlab", gitlab("color", "red"), true)},
		{problem.InputMalformed, "doubled", bind("gitlab", `{"token":"a","Token":"b"}`, true)},
		{problem.InputMalformed, "type", bind("gitlab", gitlab("username", 7), true)},
		{problem.InputMalformed, "type", bind("gitlab", gitlab("token", 7), true)},
		{problem.InputMalformed, "type", bind("codeup", codeup("expiresAt", "soon"), true)},
		{
			problem.InputMalformed, "too_long",
			bind("gitlab", gitlab("username", strings.Repeat("a", 256)), true),
		},
		{
			problem.InputMalformed, "too_long",
			bind("gitlab", gitlab("address", "https://"+strings.Repeat("a", 2048)), true),
		},
		{
			problem.InputMalformed, "too_long",
			bind("codeup", codeup("token", strings.Repeat("a", 4097)), false),
		},
		{problem.InputMalformed, "characters", bind("gitlab", gitlab("username", "a:b"), false)},
		{
			problem.InputMalformed, "past",
			bind("codeup", codeup("expiresAt", "2026-04-30T00:00:00Z"), false),
		},
		{problem.InputMalformed, "cursor", asking("GET", "/v1/bindings?cursor=x", false)},
		{problem.InputMalformed, "json", bind("gitlab", `{`, true)},
		{problem.InputMalformed, "", asking("GET", "/v1/bindings?status=well", true)},
		{problem.InputMalformed, "", asking("GET", "/v1/bindings?platform=gogs", true)},
		{problem.InputMalformed, "type", asking("DELETE", home+"/gitlab?revoke=yes", true)},
		{
			problem.BodyTooLarge, "",
			bind("gitlab", gitlab("token", strings.Repeat("a", 40_000)), true),
		},
		{problem.MediaTypeUnknown, "", func(w *world, language string) reply {
			return w.do(request{
				method: "PUT", path: home + "/gitlab", body: gitlab(), odd: true,
				header: map[string]string{"Accept-Language": language, "Content-Type": "text/plain"},
			})
		}},
		{problem.RouteUnknown, "", func(w *world, language string) reply {
			return w.do(request{
				method: "GET", path: "/v2", unlisted: true,
				header: map[string]string{"Accept-Language": language},
			})
		}},
		{problem.MethodNotAllowed, "", func(w *world, language string) reply {
			return w.do(request{
				method: "PATCH", path: home, unlisted: true,
				header: map[string]string{"Accept-Language": language},
			})
		}},
		{problem.NotSignedIn, "", claiming(map[string]any{"aud": "another"})},
		{problem.NotSignedIn, "expired", claiming(map[string]any{"exp": 1})},
		{problem.NotSignedIn, "no_account", claiming(map[string]any{"account": nil})},
		{problem.ScopeMissing, "", claiming(map[string]any{"scope": "bindery.write"})},
		{problem.InstanceUnknown, "", asking("GET", at("cn-hangzhou", "cri-2"), false)},
		{problem.PlatformUnknown, "", bind("gogs", gitlab(), true)},
		{problem.MethodMismatch, "oauth", bind("github", gitlab(), false)},
		{problem.PreconditionFailed, "", func(w *world, language string) reply {
			return w.do(request{
				method: "DELETE", path: home + "/gitlab",
				header: map[string]string{"Accept-Language": language, "If-Match": "*"},
			})
		}},
	}
}

// binderyProblems are the problems of Bindery itself and of concurrent calls.
func binderyProblems() []scenario {
	return []scenario{
		{problem.Conflict, "", func(w *world, language string) reply {
			w.table.reset(func(_ int, call string) error {
				if call == "SaveBinding" {
					w.table.reset(nil)
					w.put(home+"/gitlab", bobs()).ok()
				}
				return nil
			})
			return bind("gitlab", gitlab(), false)(w, language)
		}},
		{problem.TooManyCalls, "", func(w *world, language string) reply {
			for range 30 {
				w.do(request{method: "PUT", path: home + "/gitlab", odd: true, body: "{}"})
			}
			return bind("gitlab", gitlab(), false)(w, language)
		}},
		{problem.StorageUnavailable, "", func(w *world, language string) reply {
			w.table.reset(func(int, string) error { return errStorage })
			return asking("GET", home, false)(w, language)
		}},
		{problem.SignInUnavailable, "", func(w *world, language string) reply {
			w.issuer.setDown(true)
			return asking("GET", home, false)(w, language)
		}},
		{problem.Internal, "", func(w *world, language string) reply {
			w.table.reset(func(int, string) error { panic("glpat-sandbox-in-a-panic") })
			return asking("GET", home, false)(w, language)
		}},
	}
}

// platformProblems are the problems of the platform, its address, or the token.
func platformProblems() []scenario {
	site := func(address string) func(*world, string) reply {
		return bind("gitlab", gitlab("address", address), false)
	}
	token := func(name string) func(*world, string) reply {
		return bind("gitlab", gitlab("token", "glpat-sandbox-"+name), false)
	}
	failing := func(kind sandbox.FaultKind) func(*world, string) reply {
		return bind("gitlab", gitlab(), false, fault(sandbox.GitLab, sandbox.Fault{Kind: kind}))
	}
	switched := func(name string) func(*world, string) reply {
		return bind("codeup", codeup(), false, func(w *world) {
			w.box.SetSwitch(sandbox.Codeup, name, true)
		})
	}
	return []scenario{
		{problem.AddressRefused, "", site("https://10.0.0.1")},
		{problem.PlatformUnreachable, "dns", site("https://private.example")},
		{problem.AddressRefused, "malformed", site("https://user@gitlab.example")},
		{problem.AddressRefused, "scheme", site("ftp://gitlab.example")},
		{problem.PortRefused, "", site("https://gitlab.example:8443")},
		{problem.PortRefused, "", site("http://gitlab.example:22")},
		{problem.CertificateUntrusted, "expired", site("https://expired.example")},
		{problem.CertificateUntrusted, "hostname", site("https://other.example")},
		{problem.CertificateUntrusted, "self_signed", site("https://self.example")},
		{problem.CertificateUntrusted, "incomplete_chain", site("https://chain.example")},
		{problem.AddressRefused, "international", site("https://bücher.example")},
		{problem.PlatformUnreachable, "dns", site("https://gone.example")},
		{problem.PlatformUnreachable, "refused", site("https://closed.example")},
		{problem.PlatformUnreachable, "timeout", site("https://silent.example")},
		{problem.PlatformUnreachable, "", failing(sandbox.FaultDrop)},
		{problem.PlatformError, "", failing(sandbox.Fault500)},
		{problem.PlatformError, "", failing(sandbox.Fault503)},
		{problem.PlatformError, "", failing(sandbox.FaultHuge)},
		{problem.PlatformError, "redirect", failing(sandbox.FaultRedirect)},
		{problem.PlatformError, "not_the_platform", failing(sandbox.FaultHTML)},
		{problem.PlatformError, "not_the_platform", failing(sandbox.FaultEmpty)},
		{problem.PlatformError, "not_the_api", failing(sandbox.FaultGate302)},
		{problem.PlatformError, "not_the_api", failing(sandbox.FaultGate401)},
		{problem.PlatformError, "not_the_api", failing(sandbox.FaultGate403)},
		{problem.PlatformError, "not_the_api", failing(sandbox.FaultGate407)},
		{problem.PlatformError, "intercepted", bind("codeup", codeup(), false,
			fault(sandbox.Codeup, sandbox.Fault{Kind: sandbox.FaultGate401}))},
		{problem.PermissionMissing, "dpop", bind("gitlab", gitlab(), false, func(w *world) {
			w.box.SetSwitch(sandbox.GitLab, sandboxgitlab.RequireDPoP, true)
		})},
		{problem.UsernameMismatch, "bot", projectToken},
		{problem.PlatformRateLimited, "", failing(sandbox.Fault429)},
		{problem.PlatformRateLimited, "", failing(sandbox.FaultRateLimit)},
		{problem.TokenRejected, "", token("nobody")},
		{problem.TokenRejected, "revoked", token("alice-revoked")},
		{problem.TokenExpired, "", token("alice-expired")},
		{problem.UserBlocked, "blocked", token("mallory-blocked")},
		{problem.PermissionMissing, "", token("alice-readonly")},
		{problem.UsernameMismatch, "", token("bob-good")},
		{
			problem.UsernameMismatch, "clone_account",
			bind("codeup", codeup("username", "alicia"), false),
		},
		{
			problem.OrganizationUnknown, "",
			bind("codeup", codeup("token", "pt-sandbox-minimal"), false),
		},
		{
			problem.OrganizationUnknown, "several",
			bind("codeup", codeup(
				"username", "bob@sandbox.invalid", "token", "pt-sandbox-bob"), false),
		},
		{
			problem.OrganizationUnknown, "not_a_member",
			bind("codeup", codeup("organization", "sandbox-org-second"), false),
		},
		{
			problem.PermissionMissing, "",
			bind("codeup", codeup("token", "pt-sandbox-no-branches"), false),
		},
		{problem.AddressNotListed, "", switched(sandboxcodeup.AllowList)},
	}
}

// projectToken binds with a project's token under its owner's name.
func projectToken(w *world, language string) reply {
	w.box.GitLab.AddUser(sandboxgitlab.User{Username: "project_7_bot_0a", Bot: true})
	token := w.box.GitLab.AddToken(sandboxgitlab.Token{
		Username: "project_7_bot_0a", Scopes: []string{"api"},
	})
	return bind("gitlab", gitlab("token", token.Reveal()), false)(w, language)
}

// elsewhere are the codes that other tests cause: those of OAuth, of credentials and checks, and
// the ones of the tests that are named.
var elsewhere = []problem.Code{
	problem.NotBound, problem.TokenRevoked, problem.PlatformNotConfigured, problem.ConsentRefused,
	problem.AnotherBrowser, problem.CookiesBlocked, problem.AuthorizationExpired,
	problem.AuthorizationDone, problem.AuthorizationUnknown, problem.NotANavigation,
	problem.AnotherUser, problem.AnotherInstance, problem.NotAPersonalAccount,
	problem.TooManyTokens, problem.ClientRefused, problem.ManyTokens,
	problem.InstancesUnknown,                    // TestAnUnreadableCatalogueIsItsOwnProblem
	problem.RevocationFailed,                    // TestATokenThatCouldNotBeRevokedIsInTheHistory
	problem.Overloaded,                          // a reply of the router
	problem.TokenMismatch,                       // TestB15_ThroughHTTPAForgedRowGivesNoToken
	problem.NewerVersion,                        // TestARecordOfANewerVersionIsShownAndNotActedUpon
	problem.ListCut, problem.RepositoriesHidden, // TestNoticesReadWellInBothLanguages
	problem.WebhookLost, problem.WebhookDisabled, // of a subscription that is broken
	problem.MergesForbidden, // of one that is degraded: the tests of package subscription
	// Of a platform that refuses a webhook: the tests of package subscription.
	problem.WebhooksFull, problem.WebhooksForbidden, problem.RepositoryArchived,
	problem.MergesForbidden,  // of a subscription whose merge requests may not be read
	problem.SubscriptionHeld, // TestE12_ARebindHoldsDeliveriesUntilItsUserMayHaveThem
	problem.DeliveryIgnored,  // TestE3_AnotherBodyUnderTheHeadersIsToldAsThePlatformSays
}

func TestEveryProblemOccursAndReadsWellInBothLanguages(t *testing.T) {
	reached := slices.Clone(elsewhere)
	for _, warning := range warnings() {
		reached = append(reached, warning.code)
	}
	for _, ways := range [][]scenario{
		callerProblems(), binderyProblems(), platformProblems(), repositoryProblems(),
		subscriptionProblems(),
	} {
		for _, way := range ways {
			reached = append(reached, way.code)
			t.Run(string(way.code)+"_"+way.reason, func(t *testing.T) {
				t.Parallel()
				zh := way.how(newWorld(t), "zh-CN").refused(way.code, way.reason)
				en := way.how(newWorld(t), "en").refused(way.code, way.reason)
				readsWell(t, zh.json(), problem.Chinese)
				readsWell(t, en.json(), problem.English)
				if way.code != problem.Internal && zh.header.Get("Content-Language") != "zh-CN" {
					t.Errorf("the language is said to be %q", zh.header.Get("Content-Language"))
				}
			})
		}
	}
	for _, code := range problem.Codes() {
		if !slices.Contains(reached, code) {
			t.Errorf("%s: no test reaches it through HTTP", code)
		}
	}
}

// readsWell checks that a problem's three texts are in the language and have all their parameters.
func readsWell(t *testing.T, fields map[string]any, language problem.Language) {
	t.Helper()
	for _, name := range []string{"title", "detail", "remedy"} {
		text, _ := fields[name].(string)
		if text == "" || strings.ContainsAny(text, "…{}") {
			t.Errorf("%s in %s has a hole in it: %q", name, language, text)
		}
		chinese := strings.ContainsFunc(text, func(r rune) bool { return r >= 0x4e00 && r <= 0x9fff })
		for _, word := range []string{"读写", "只读", "沙箱"} { // names that a platform uses in every language
			chinese = chinese && (language == problem.Chinese || !strings.Contains(text, word))
		}
		if chinese != (language == problem.Chinese) {
			t.Errorf("%s isn't %s: %q", name, language, text)
		}
	}
}

// warning is a warning of a binding, and the bind that causes it.
type warning struct {
	code     problem.Code
	reason   string
	platform string
	body     map[string]any
	set      func(*world)
}

func warnings() []warning {
	open := func(w *world) { w.box.SetSwitch(sandbox.Codeup, sandboxcodeup.CheckName, false) }
	old := func(w *world) { w.box.SetSwitch(sandbox.GitLab, sandboxgitlab.Old, true) }
	bobAtMain := codeup("username", "bob@sandbox.invalid", "token", "pt-sandbox-bob",
		"organization", "sandbox-org-main")
	empty := codeup("username", "carol", "token", "pt-sandbox-empty")
	clear := gitlab("address", "http://gitlab.example:8929/gitlab")
	return []warning{
		{problem.TokenInTheClear, "", "gitlab", clear, nil},
		{problem.ExpiryUnknown, "", "codeup", codeup(), nil},
		{problem.ExpiryUnknown, "", "gitlab", gitlab(), old},
		{problem.PermissionNotProvable, "write", "codeup", codeup(), nil},
		{problem.PermissionNotProvable, "no_repository", "codeup", empty, nil},
		{problem.PermissionNotProvable, "no_answer", "gitlab", gitlab(), old},
		{problem.NotAdministrator, "", "codeup", bobAtMain, nil},
		{problem.UsernameUnverified, "", "codeup", codeup(), open},
	}
}

func TestEveryWarningOccursAndReadsWellInBothLanguages(t *testing.T) {
	for _, tt := range warnings() {
		t.Run(string(tt.code)+"_"+tt.reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tt.set != nil {
				tt.set(w)
			}
			for _, language := range []problem.Language{problem.Chinese, problem.English} {
				r := w.do(request{
					method: "PUT", path: home + "/" + tt.platform, body: tt.body,
					header: map[string]string{"Accept-Language": string(language)},
				}).ok()
				found := false
				for _, got := range r.list("warnings") {
					reason, _ := got["reason"].(string)
					if got["code"] == string(tt.code) && reason == tt.reason {
						readsWell(t, got, language)
						found = true
					}
				}
				if !found {
					t.Errorf("got the warnings %v", r.json()["warnings"])
				}
			}
		})
	}
}

// Errors in the log raise an alarm, so failures of callers and platforms are not logged as errors.
func TestOnlyBinderysOwnFailuresAreErrorsInTheLog(t *testing.T) {
	for _, tt := range []struct {
		ways []scenario
		want bool
	}{
		{callerProblems(), false},
		{platformProblems(), false},
		{repositoryProblems(), false},
		{binderyProblems(), true},
	} {
		for _, way := range tt.ways {
			t.Run(string(way.code)+"_"+way.reason, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				way.how(w, "en")
				want := tt.want && problem.New(way.code).Status() >= 500
				if got := strings.Contains(w.log.String(), `"level":"ERROR"`); got != want {
					t.Errorf("an error is in the log: %t, want %t", got, want)
				}
			})
		}
	}
}

// The wait of a platform or a limit is in Retry-After, in whole seconds.
func TestAWaitIsInRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		kind sandbox.FaultKind
		wait time.Duration
		code problem.Code
		want string
	}{
		{sandbox.Fault429, 7 * time.Second, problem.PlatformRateLimited, "7"},
		{sandbox.FaultRateLimit, time.Minute, problem.PlatformRateLimited, "60"},
		{sandbox.Fault503, 90 * time.Second, problem.PlatformError, "90"},
		{sandbox.Fault429, 100 * time.Hour, problem.PlatformRateLimited, "3600"},
		{sandbox.Fault500, time.Second, problem.PlatformError, ""},
	} {
		w := newWorld(t)
		w.box.SetFault(sandbox.GitLab, sandbox.Fault{Kind: tt.kind, RetryAfter: tt.wait})
		r := w.put(home+"/gitlab", gitlab()).refused(tt.code, "")
		if got := r.header.Get("Retry-After"); got != tt.want {
			t.Errorf("%s of %s: got %q, want %q", tt.kind, tt.wait, got, tt.want)
		}
	}
}

func TestAnUnreadableCatalogueIsItsOwnProblem(t *testing.T) {
	w := newWorld(t, env("BINDERY_INSTANCES", "file:///nowhere/at/all.json"))
	for _, language := range []problem.Language{problem.Chinese, problem.English} {
		for _, path := range []string{"/v1/instances", "/v1/bindings", home} {
			r := asking("GET", path, false)(w, string(language)).refused(problem.InstancesUnknown, "")
			readsWell(t, r.json(), language)
			if r.header.Get("Retry-After") == "" {
				t.Error("there is no Retry-After")
			}
		}
	}
}
