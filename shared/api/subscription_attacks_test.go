package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// subscriptionCalls are all calls to a subscription, by its path without the binding's.
func subscriptionCalls(one string) []request {
	return []request{
		{method: "PUT", path: one + "/subscription", body: wanted()},
		{method: "GET", path: one + "/subscription"},
		{method: "DELETE", path: one + "/subscription"},
		{method: "POST", path: one + "/subscription/sync"},
		{method: "GET", path: one + "/subscription/deliveries"},
		{method: "POST", path: one + "/subscription/deliveries/1/replay"},
	}
}

func TestE8_WhateverIsWrongWithADeliveryIsAnsweredAlike(t *testing.T) {
	w, r, one := newSubscriptionWorld(t)
	w.subscribe(one)
	w.push("Try a build")
	testkit.Want(t, "events at first", len(r.received()), 1)
	sent := w.box.Deliveries(sandbox.GitLab, "alice/hello")
	last := sent[len(sent)-1].Outgoing
	id, body, header := w.webhook(), string(last.Body), map[string]string{}
	for name := range last.Header {
		header[name] = last.Header.Get(name)
	}
	but := func(name, value string) map[string]string {
		return changedHeader(header, name, value)
	}
	want := w.deliver("gitlab", unknownID, body, header).refused(problem.WebhookUnknown, "")
	readsWell(t, want.json(), problem.English)
	for what, got := range map[string]reply{
		"an id in capitals":   w.deliver("gitlab", strings.ToUpper(id), body, header),
		"a short id":          w.deliver("gitlab", id[:31], body, header),
		"a long id":           w.deliver("gitlab", id+"0", body, header),
		"an id with a break":  w.deliver("gitlab", id[:31]+"%0A", body, header),
		"another platform":    w.deliver("github", id, body, header),
		"an unknown platform": w.deliver("sourceforge", id, body, header),
		"no header":           w.deliver("gitlab", id, body, nil),
		"no signature":        w.deliver("gitlab", id, body, but("webhook-signature", "")),
		"a wrong signature":   w.deliver("gitlab", id, body, but("webhook-signature", "v1,YQ==")),
		"no body":             w.deliver("gitlab", id, "", but("X-Gitlab-Token", "")),
		"another body":        w.deliver("gitlab", id, "{}", but("X-Gitlab-Token", "")),
	} {
		wantLike(t, what, got, want)
		testkit.Want(t, what+": the number of headers", len(got.header), len(want.header))
	}
	list := w.get(one + "/subscription/deliveries").ok().list("deliveries")
	testkit.Want(t, "events at last", len(list), 1)
	testkit.Want(t, "forwarded since", len(r.received()), 0)
	w.deliver("gitlab", id, body, header).ok()
	testkit.Want(t, "forwarded of the same again", len(r.received()), 0)
}

// changedHeader returns the headers with one of them changed, or without it.
func changedHeader(header map[string]string, name, value string) map[string]string {
	all := map[string]string{}
	for other, text := range header {
		if !strings.EqualFold(other, name) {
			all[other] = text
		}
	}
	if value != "" {
		all[name] = value
	}
	return all
}

func TestE17_AKeyOfAnotherBindingHasNoSubscription(t *testing.T) {
	w, r, one := newSubscriptionWorld(t)
	w.subscribe(one)
	w.push("Try a build")
	r.received()
	list := home + "/gitlab/repositories/"
	shanghai := at("cn-shanghai", "cri-1") + "/gitlab"
	w.put(shanghai, gitlab()).ok()
	theirs := w.repositoryPath(shanghai, "alice/hello")
	w.put(home+"/codeup", codeup()).ok()
	codeups := w.look(home + "/codeup/repositories").ok().list("repositories")[0]["key"].(string)
	foreign := map[string]string{
		"another instance's":    theirs[strings.LastIndex(theirs, "/")+1:],
		"another platform's":    codeups,
		"the platform's own id": "1",
		"a part of the key":     one[strings.LastIndex(one, "/")+1:][:16],
	}
	for i, call := range subscriptionCalls(list + "AAAAAAAAAAAAAAAAMQ") {
		want := w.do(call).refused(problem.RepositoryUnknown, "")
		for what, key := range foreign {
			w.clock.Advance(2 * time.Second)
			other := subscriptionCalls(list + key)[i]
			wantLike(t, what+": "+other.method+" "+other.path, w.do(other), want)
		}
	}
	// The other binding sees nothing of it, also with its own key of the same repository.
	for _, call := range subscriptionCalls(theirs)[3:] {
		w.do(call).refused(problem.SubscriptionUnknown, "")
	}
	testkit.Want(t, "subscriptions of the other binding",
		len(w.get(shanghai+"/subscriptions").ok().list("subscriptions")), 0)
	testkit.Want(t, "forwarded by all of this", len(r.received()), 0)
	w.get(one + "/subscription").ok()
}

func TestE17_ACursorOfAnotherListIsRefused(t *testing.T) {
	w, _, one := newSubscriptionWorld(t)
	w.subscribe(one)
	for what, cursor := range map[string]string{
		"made up": "x", "a repository's key": one[strings.LastIndex(one, "/")+1:], "a number": "7",
		"base64 of a number": "Nw", "a negative number": "-1",
	} {
		for _, path := range []string{home + "/gitlab/subscriptions", one + "/subscription/deliveries"} {
			got := w.get(path + "?cursor=" + cursor)
			if got.status != http.StatusBadRequest || got.json()["reason"] != "cursor" {
				t.Errorf("%s at %s: got %d %s", what, path, got.status, got.body)
			}
		}
	}
}

func TestE18_ACallerNarrowedToOtherInstancesSeesNoSubscription(t *testing.T) {
	w, _, one := newSubscriptionWorld(t)
	w.subscribe(one)
	narrowed := w.issuer.token(t, map[string]any{"instances": []string{"cn-shanghai/cri-1"}})
	beta := w.issuer.token(t, map[string]any{"account": "beta"})
	w.table.reset(nil)
	nowhere := strings.Replace(one, "cn-hangzhou/cri-1", "cn-hangzhou/no-such", 1)
	calls := append(subscriptionCalls(one), get(home+"/gitlab/subscriptions"))
	for i, call := range append(subscriptionCalls(nowhere),
		get(at("cn-hangzhou", "no-such")+"/gitlab/subscriptions")) {
		call.as = narrowed
		want := w.do(call).refused(problem.InstanceUnknown, "")
		for what, as := range map[string]string{"narrowed": narrowed, "another account": beta} {
			mine := calls[i]
			mine.as = as
			wantLike(t, what+": "+mine.method+" "+mine.path, w.do(mine), want)
		}
	}
	if made := w.table.made(); len(made) != 0 {
		t.Errorf("the table was called: %q", made)
	}
	allowed := w.issuer.token(t, map[string]any{"instances": []string{"cn-hangzhou/cri-1"}})
	w.do(request{method: "GET", path: one + "/subscription", as: allowed}).ok()
}
