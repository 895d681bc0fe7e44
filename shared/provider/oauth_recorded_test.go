package provider

import "testing"

func TestRecordedUsers(t *testing.T) {
	for name, want := range map[string]Identity{
		Gitee: {
			ID: "1535738", Username: "kit101", Name: "kit101",
			AvatarURL: "https://portrait.gitee.com/uploads/avatars/user/511/" +
				"1535738_qkssk1711_1578953939.png",
			ProfileURL: "https://gitee.com/kit101",
		},
		GitHub: {
			ID: "1", Username: "octocat", Name: "monalisa octocat",
			AvatarURL:  "https://github.com/images/error/octocat_happy.gif",
			ProfileURL: "https://github.com/octocat",
		},
		Bitbucket: {
			ID: "{87bb15eb-47c1-49b3-9f16-ca824a2979a4}", Username: "brydzewski",
			Name:       "Brad Rydzewski",
			AvatarURL:  "https://bitbucket.org/account/brydzewski/avatar/32/",
			ProfileURL: "https://bitbucket.org/brydzewski/",
		},
	} {
		file := "scm/driver/" + name + "/testdata/user.json"
		s := newOAuthSite(t, recordedIn(t, "github.com/drone/go-scm", file))
		p := s.platform(t, name)
		f, err := check(p, p.Describe().Scopes...)
		if err != nil || f.Identity != want {
			t.Errorf("%s: the recorded user is %+v (%v), want %+v", name, f.Identity, err, want)
		}
	}
}
