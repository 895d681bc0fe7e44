package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"bindery/shared/secret"
)

func TestOnFunctionComputeTheFunctionsStartAndAnswerThroughTheDomain(t *testing.T) {
	d := startFC(t)
	const binding = "/v1/instances/a/b/bindings/github"
	for _, route := range []string{
		"PUT " + binding, "DELETE " + binding + "?revoke=true", "POST " + binding + "/credential",
		"GET " + binding + "/repositories?search=a",
		"GET " + binding + "/repositories/a/files/a%2Fb?ref=heads/a", "POST " + binding + "/check",
		"GET " + binding + "/history", "GET /v1/instances/a/b/bindings",
		"GET /v1/platforms", "GET /v1/instances", "GET /v1/bindings", "POST /v1/authorizations",
		"GET /v1/authorizations/0a", "POST /v1/authorizations/0a/confirm",
	} {
		method, path, _ := strings.Cut(route, " ")
		a := d.call(method, path, secret.Text{}, nil)
		if a.status != http.StatusUnauthorized || a.body["code"] != "not_signed_in" {
			t.Errorf("%s without a bearer: %d %v", route, a.status, a.body)
		}
		a = d.call(http.MethodOptions, path, secret.Text{}, nil, "Origin", consoleURL,
			"Access-Control-Request-Method", method)
		if a.status != http.StatusNoContent ||
			!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), method) {
			t.Errorf("the preflight of %s: %d %v", route, a.status, a.header)
		}
	}
	for _, c := range []struct {
		path, location, kind string
		status               int
	}{
		{"/healthz", "", "", http.StatusNoContent},
		{"/", "", "text/html; charset=utf-8", http.StatusOK},
		{
			"/v1/authorizations/" + strings.Repeat("0", 32) + "/start",
			consoleURL + "/#problem=authorization_unknown", "", http.StatusSeeOther,
		},
		{
			"/v1/callback/github?state=a&code=b",
			consoleURL + "/#problem=authorization_unknown", "", http.StatusSeeOther,
		},
		{"/v1/nothing", "", "application/problem+json", http.StatusNotFound},
		{binding + "/nothing", "", "application/problem+json", http.StatusNotFound},
	} {
		a := d.call(http.MethodGet, c.path, secret.Text{}, nil, "Sec-Fetch-Mode", "navigate")
		if a.status != c.status || a.header.Get("Location") != c.location ||
			c.kind != "" && a.header.Get("Content-Type") != c.kind {
			t.Errorf("%s: %d %v", c.path, a.status, a.header)
		}
	}
}
