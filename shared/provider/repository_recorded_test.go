package provider

import (
	"strings"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// recordedRepository is what a platform's recorded replies say.
type recordedRepository struct {
	platform string
	// paths are those of the repository, its branches and its commit.
	repository, branches, commit string
	want                         Repository
	branch, hash                 string
}

func recordedRepositories() []recordedRepository {
	return []recordedRepository{
		{
			GitHub, "/repositories/1296269", "/repositories/1296269/branches",
			"/repositories/1296269/commits/7fd1a60b01f91b314f59955a4e4d4e80d8edf11d",
			Repository{
				ID: "1296269", Name: "octocat/Hello-World", URL: "/octocat/Hello-World.git",
				WebURL: "/octocat/Hello-World", DefaultBranch: "master", Visibility: "public",
				Archived: true, CanSubscribe: true,
			},
			"6dcb09b5b57875f334f61aebed695e2e4193db5e", "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d",
		},
		{
			Gitee, "/api/v5/repos/kit101/drone-yml-test",
			"/api/v5/repos/kit101/drone-yml-test/branches",
			"/api/v5/repos/kit101/drone-yml-test/commits/e3c0ff4d5cef439ea11b30866fb1ed79b420801d",
			Repository{
				ID: "14836026/kit101/drone-yml-test", Name: "kit101/drone-yml-test",
				URL: "/kit101/drone-yml-test.git", WebURL: "/kit101/drone-yml-test",
				DefaultBranch: "master", Visibility: "public", CanSubscribe: true,
			},
			"e3c0ff4d5cef439ea11b30866fb1ed79b420801d", "e3c0ff4d5cef439ea11b30866fb1ed79b420801d",
		},
		{
			GitLab, "/api/v4/projects/178504", "/api/v4/projects/178504/repository/branches",
			"/api/v4/projects/178504/repository/commits/6104942438c14ec7bd21c6cd5bd995272b3faff6",
			Repository{
				ID: "178504", Name: "diaspora/diaspora", URL: "/diaspora/diaspora.git",
				WebURL: "/diaspora/diaspora", DefaultBranch: "master", Visibility: "public",
			},
			"7b5c3cc8be40ee161ae89a06bba6229da1032a0c", "6104942438c14ec7bd21c6cd5bd995272b3faff6",
		},
		{
			Bitbucket, recordedAtBitbucket, recordedAtBitbucket + "/refs/branches",
			recordedAtBitbucket + "/commit/a6e5e7d797edf751cbd839d6bd4aef86c941eec9",
			Repository{
				ID:   "{02b941e3-cfaa-40f9-9a58-cec53e20bdc3}/{7dd600e6-0d9c-4801-b967-cb4cc17359ff}",
				Name: "atlassian/stash-example-plugin", URL: "/atlassian/stash-example-plugin.git",
				WebURL: "/atlassian/stash-example-plugin", DefaultBranch: "master",
				Visibility: "private",
			},
			"a6e5e7d797edf751cbd839d6bd4aef86c941eec9", "a6e5e7d797edf751cbd839d6bd4aef86c941eec9",
		},
	}
}

const recordedAtBitbucket = "/2.0/repositories/%7B02b941e3-cfaa-40f9-9a58-cec53e20bdc3%7D/" +
	"%7B7dd600e6-0d9c-4801-b967-cb4cc17359ff%7D"

func TestRecordedRepositories(t *testing.T) {
	for _, r := range recordedRepositories() {
		t.Run(r.platform, func(t *testing.T) {
			file := func(name string) canned {
				return recordedIn(t, "github.com/drone/go-scm",
					"scm/driver/"+r.platform+"/testdata/"+name+".json")
			}
			s := newTokenSite(t, map[string]canned{
				r.repository: file("repo"), r.branches: file("branches"), r.commit: file("commit"),
			})
			p, _ := s.platforms().Get(r.platform)
			reader := p.(RepositoryPlatform)
			cred := Credential{Access: secret.New(canaryToken), Address: s.URL}
			want := r.want
			want.URL, want.WebURL = s.URL+want.URL, s.URL+want.WebURL
			got, err := reader.Repository(t.Context(), cred, want.ID)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "the repository", got, want)
			refs, err := reader.Refs(t.Context(), cred, want.ID, Branches, "", "")
			if err != nil || len(refs.Refs) != 1 {
				t.Fatalf("the branches are %+v, %v", refs, err)
			}
			testkit.Want(t, "a branch", refs.Refs[0].Commit, r.branch)
			// GitLab said nothing of the default branch then.
			testkit.Want(t, "the default branch", refs.Refs[0].Default, r.platform != GitLab)
			commit, err := reader.Commit(t.Context(), cred, want.ID, r.hash)
			if err != nil || commit.CommittedAt.IsZero() || commit.Message == "" ||
				commit.Hash != r.hash || strings.Contains(commit.URL, "@") {
				t.Errorf("the commit is %+v, %v", commit, err)
			}
		})
	}
}

func TestRecordedTags(t *testing.T) {
	for name, want := range map[string]struct{ id, path, tag, commit string }{
		Gitee: {
			"14836026/kit101/drone-yml-test", "/api/v5/repos/kit101/drone-yml-test/tags", "1.1",
			"5e7876efb3468ff679410b82a72f7c002382d41e",
		},
		GitLab: {
			"178504", "/api/v4/projects/178504/repository/tags", "v1.0.0",
			"2695effb5807a22ff3d138d593fd856244e155e7",
		},
		Bitbucket: {
			"{02b941e3-cfaa-40f9-9a58-cec53e20bdc3}/{7dd600e6-0d9c-4801-b967-cb4cc17359ff}",
			recordedAtBitbucket + "/refs/tags", "@atlaskit/activity@1.0.3",
			"ceb01356c3f062579bdfeb15bc53fe151b9e00f0",
		},
	} {
		testdata := "scm/driver/" + name + "/testdata/"
		const goSCM = "github.com/drone/go-scm"
		s := newTokenSite(t, map[string]canned{
			want.path:                              recordedIn(t, goSCM, testdata+"tags.json"),
			strings.TrimSuffix(want.path, "/tags"): recordedIn(t, goSCM, testdata+"repo.json"),
		})
		p, _ := s.platforms().Get(name)
		refs, err := p.(RepositoryPlatform).Refs(t.Context(),
			Credential{Access: secret.New(canaryToken), Address: s.URL}, want.id, Tags, "", "")
		found := false
		for _, ref := range refs.Refs {
			found = found || ref.Name == want.tag && ref.Commit == want.commit
		}
		if err != nil || !found {
			t.Errorf("%s: the recorded tags are %+v, %v", name, refs, err)
		}
	}
}
