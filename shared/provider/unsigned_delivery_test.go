package provider

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// giteeSigned returns a delivery as Gitee signs it: only its time.
func giteeSigned(body string, at time.Time) DeliveryRequest {
	timestamp := strconv.FormatInt(at.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(timestamp + "\n" + hookSecret))
	return DeliveryRequest{
		Header: http.Header{
			"X-Gitee-Timestamp": {timestamp},
			"X-Gitee-Token":     {base64.StdEncoding.EncodeToString(mac.Sum(nil))},
			"X-Gitee-Ping":      {"false"},
		},
		Body: []byte(body), Secret: secret.New(hookSecret), HookID: "11", Now: noon,
	}
}

func codeupUnsigned(body string) DeliveryRequest {
	return DeliveryRequest{
		Header: http.Header{
			"X-Codeup-Token":    {hookSecret},
			"X-Codeup-Delivery": {"37790a84-51a4-4ac6-9c52-aa16a93aeb84"},
		},
		Body: []byte(body), Secret: secret.New(hookSecret), Now: noon,
	}
}

// unsigned are deliveries of the platforms whose signatures or tokens don't cover the body, each of
// a push and of a merge request. All texts that must not leave have the word canary.
var unsigned = map[string]struct {
	request     func(body string) DeliveryRequest
	push, merge string
	repository  string
}{
	Gitee: {
		func(body string) DeliveryRequest { return giteeSigned(body, noon) },
		`{"hook_id":11,"hook_name":"push_hooks","password":"canary","sign":"canary",
			"ref":"refs/heads/main","before":"` + oldHash + `","after":"` + newHash + `",
			"compare":"https://gitee.com/canary","commits":[{"message":"canary"}],
			"head_commit":{"id":"` + newHash + `","message":"canary"},"sender":{"login":"canary"},
			"repository":{"id":7,"full_name":"acme/canary"}}`,
		`{"hook_id":11,"hook_name":"merge_request_hooks","password":"canary","action":"open",
			"pull_request":{"number":3,"title":"canary","html_url":"https://gitee.com/canary",
			"head":{"ref":"canary","sha":"` + newHash + `"},
			"base":{"ref":"main","repo":{"id":7,"full_name":"acme/canary"}}}}`,
		"7/acme/web",
	},
	Codeup: {
		codeupUnsigned,
		`{"object_kind":"push","ref":"refs/heads/main","before":"` + oldHash + `",
			"after":"` + newHash + `","checkout_sha":"` + newHash + `","project_id":7,
			"user_name":"canary","commits":[{"message":"canary"}],"token":"canary"}`,
		`{"object_kind":"merge_request","object_attributes":{"iid":3,"title":"canary",
			"action":"open","source_branch":"canary","target_branch":"main","target_project_id":7,
			"url":"https://codeup.aliyun.com/canary","last_commit":{"id":"` + newHash + `"}}}`,
		"7",
	},
	GitLab: {
		gitLabUnsigned,
		`{"object_kind":"push","ref":"refs/heads/main","before":"` + oldHash + `",
			"after":"` + newHash + `","checkout_sha":"` + newHash + `","project_id":7,
			"user_username":"canary","commits":[{"id":"1","message":"canary"}]}`,
		`{"object_kind":"merge_request","object_attributes":{"iid":3,"title":"canary",
			"action":"open","source_branch":"canary","target_branch":"main","target_project_id":7,
			"url":"https://git.example/canary","last_commit":{"id":"` + newHash + `"}}}`,
		"7",
	},
}

func TestE3_OnlyNamesAndNumbersLeaveABodyThatNothingCovers(t *testing.T) {
	for name, of := range unsigned {
		for body, want := range map[string]Change{
			of.push: {Ref: "refs/heads/main", Before: oldHash, Commit: newHash},
			of.merge: {
				Ref: "refs/heads/main", Commit: newHash,
				Merge: &MergeRequest{Number: "3", Action: "opened"},
			},
		} {
			got, err := deliver(name, of.request(body))
			testkit.Want(t, name+": an error", err, nil)
			testkit.Want(t, name+": confirmed", got.Confirmed, false)
			testkit.WantEqual(t, name+": the changes", got.Changes, []Change{want})
			testkit.Want(t, name+": the repository", SameRepository(got.RepositoryID, of.repository), true)
			testkit.Want(t, name+": another", SameRepository(got.RepositoryID, "8/acme/web"), false)
		}
	}
}

func TestE9_NoPasswordOfABodyLeavesADelivery(t *testing.T) {
	for name, of := range unsigned {
		for _, body := range []string{
			of.push, of.merge, strings.Replace(of.push, `"ref"`, `"canary":"canary","unref"`, 1),
		} {
			got, err := deliver(name, of.request(body))
			if text := fmt.Sprintf("%+v %v", got, err); strings.Contains(text, "canary") {
				t.Errorf("%s: the delivery is %s", name, text)
			}
			for _, change := range got.Changes {
				if text := fmt.Sprintf("%+v", change.Merge); strings.Contains(text, "canary") {
					t.Errorf("%s: the merge request is %s", name, text)
				}
			}
		}
		_, err := deliver(name, of.request(`{"hook_id":{"canary":1},"commits":"canary`))
		if !errors.Is(err, ErrNotADelivery) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: a broken body gives %v", name, err)
		}
	}
}

func TestE1_ATokenThatIsMissingOrWrongIsRefused(t *testing.T) {
	for name, header := range map[string]string{
		Gitee: "X-Gitee-Token", Codeup: "X-Codeup-Token", GitLab: "X-Gitlab-Token",
	} {
		of := unsigned[name]
		for _, token := range []string{"", " ", hookSecret[1:], hookSecret + "0", "%", "eA=="} {
			in := of.request(of.push)
			in.Header.Set(header, token)
			_, err := deliver(name, in)
			testkit.Want(t, name+": the token "+token, err, ErrNotAuthentic)
		}
		in := of.request(of.push)
		in.Header.Del(header)
		_, err := deliver(name, in)
		testkit.Want(t, name+": no token", err, ErrNotAuthentic)
		in = of.request(of.push)
		in.Secret = secret.Text{}
		_, err = deliver(name, in)
		testkit.Want(t, name+": no secret", err, ErrNotAuthentic)
		in.Header.Set(header, "")
		_, err = deliver(name, in)
		testkit.Want(t, name+": neither", err, ErrNotAuthentic)
	}
	in := unsigned[Gitee].request(unsigned[Gitee].push)
	in.Header.Set("X-Gitee-Token", hookSecret) // as a hook with a password sends it
	_, err := deliver(Gitee, in)
	testkit.Want(t, "the secret itself at Gitee", err, ErrNotAuthentic)
}

func TestE4_AnOldSignatureOfGiteeIsRefused(t *testing.T) {
	for age, want := range map[time.Duration]error{
		0: nil, time.Hour: nil, -5 * time.Minute: nil,
		time.Hour + time.Millisecond:      ErrNotAuthentic,
		-5*time.Minute - time.Millisecond: ErrNotAuthentic,
	} {
		_, err := deliver(Gitee, giteeSigned(unsigned[Gitee].push, noon.Add(-age)))
		testkit.Want(t, age.String(), err, want)
	}
	in := giteeSigned(unsigned[Gitee].push, noon.Add(-2*time.Hour))
	in.Header.Set("X-Gitee-Timestamp", strconv.FormatInt(noon.UnixMilli(), 10))
	_, err := deliver(Gitee, in)
	testkit.Want(t, "another time", err, ErrNotAuthentic)
	in.Header.Set("X-Gitee-Timestamp", "now")
	_, err = deliver(Gitee, in)
	testkit.Want(t, "no time", err, ErrNotAuthentic)
}

func TestE5_ADeliveryOfAnotherHookOfGiteeIsRefused(t *testing.T) {
	in := unsigned[Gitee].request(unsigned[Gitee].push)
	for id, want := range map[string]error{"11": nil, "": nil, "12": ErrNotAuthentic} {
		in.HookID = id
		_, err := deliver(Gitee, in)
		testkit.Want(t, "the hook "+id, err, want)
	}
}

func TestE7_ABodyIsReadAfterItsTokenAndNotTooDeep(t *testing.T) {
	deep := strings.Repeat("[", maxDeliveryDepth+1) + strings.Repeat("]", maxDeliveryDepth+1)
	for name, of := range unsigned {
		for _, body := range []string{
			`{"a":` + deep[1:len(deep)-1] + `}`, "", "no JSON",
			`{"a":"` + strings.Repeat("x", MaxDelivery) + `"}`,
		} {
			_, err := deliver(name, of.request(body))
			wantNotADelivery(t, name, err)
			in := of.request(body)
			in.Secret = secret.New("another")
			_, err = deliver(name, in)
			testkit.Want(t, name+": with a wrong token", err, ErrNotAuthentic)
		}
	}
}

func TestE10_HostileNamesInADeliveryAreDropped(t *testing.T) {
	for name, of := range unsigned {
		for _, ref := range []string{
			"refs/heads/../../x", "refs/heads/a\\u0000b", "refs/heads/a\\nb", "refs/heads/a b", "main",
			"refs/heads/", "refs/pull/1/head", "refs/heads/\\u001b[2J",
		} {
			got, err := deliver(name, of.request(strings.Replace(of.push, "refs/heads/main", ref, 1)))
			if err != nil || len(got.Changes) != 0 {
				t.Errorf("%s: %s gives %+v, %v", name, ref, got, err)
			}
		}
		for _, number := range []string{`"../3"`, `-1`, `"3\n"`, `{}`, `null`, `1.5`} {
			body := strings.NewReplacer(`"number":3`, `"number":`+number, `"iid":3`, `"iid":`+number).
				Replace(of.merge)
			got, err := deliver(name, of.request(body))
			if err != nil || len(got.Changes) != 0 {
				t.Errorf("%s: %s gives %+v, %v", name, number, got, err)
			}
		}
	}
	in := codeupUnsigned(unsigned[Codeup].push)
	in.Header.Set("X-Codeup-Delivery", "a\x1b[2J")
	got, err := deliver(Codeup, in)
	testkit.Want(t, "an error", err, nil)
	testkit.Want(t, "a hostile id", got.ID, bodyID(in.Body))
}

func TestTestsOfGiteeAndCodeup(t *testing.T) {
	in := giteeSigned(unsigned[Gitee].push, noon)
	in.Header.Set("X-Gitee-Ping", "true")
	got, err := deliver(Gitee, in)
	testkit.Want(t, "an error", err, nil)
	testkit.WantEqual(t, "Gitee's", got, Delivery{ID: bodyID(in.Body), Test: true})
	for _, event := range []string{"Push Hook", "Tag Push Hook", ""} {
		// Constructed: the console's body.
		in := codeupUnsigned(`{"before":"` + oldHash + `","after":"` + newHash + `"}`)
		in.Header.Set("Codeup-Event", event)
		got, err := deliver(Codeup, in)
		testkit.Want(t, "an error", err, nil)
		testkit.WantEqual(t, "Codeup's", got, Delivery{
			ID: in.Header.Get("X-Codeup-Delivery"), Test: true,
		})
	}
}

func TestCodeupsKindIsInTheHeaderToo(t *testing.T) {
	for _, header := range []string{"X-Codeup-Event", "Codeup-Event"} {
		in := codeupUnsigned(strings.Replace(unsigned[Codeup].push, `"object_kind":"push",`, "", 1))
		in.Header.Set(header, "Push Hook")
		got, err := deliver(Codeup, in)
		if err != nil || len(got.Changes) != 1 || got.Test {
			t.Errorf("%s: got %+v, %v", header, got, err)
		}
	}
}

func TestGiteesDeliveriesHaveIDs(t *testing.T) {
	id := func(body string, at time.Time) string {
		d, err := deliver(Gitee, giteeSigned(body, at))
		testkit.Want(t, "an error", err, nil)
		return d.ID
	}
	of := unsigned[Gitee]
	later := noon.Add(-time.Minute)
	testkit.Want(t, "a push again", id(of.push, noon), id(of.push+" ", noon))
	testkit.Want(t, "the same change later", id(of.push, noon) == id(of.push, later), false)
	testkit.Want(t, "a merge again", id(of.merge, noon), id(of.merge, later))
	for _, change := range []string{`"number":4`, `"number":3,"updated_at":"x"`} {
		other := strings.Replace(of.merge, `"number":3`, change, 1)
		testkit.Want(t, change, id(of.merge, noon) == id(other, noon), false)
	}
	other := strings.Replace(of.merge, `"open"`, `"close"`, 1)
	testkit.Want(t, "another action", id(of.merge, noon) == id(other, noon), false)
}
