package platform

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bindery/shared/sandbox/page"
	"bindery/shared/secret"
)

// TokenPage is the page on which users create personal access tokens, and revoke those that were
// created there. As at the real GitLab its query fills in the form: ?name=…&scopes=api,read_user.
// It serves several requests at once.
type TokenPage struct {
	Title       string // of the platform
	Users       []string
	Permissions []Permission
	// Now is the clock by which tokens expire.
	Now func() time.Time
	// Describe returns what a user enters besides the token, either of which may be empty.
	Describe func(r *http.Request, user string) (address, organization string)
	Create   func(user string, permissions []string, expiresAt time.Time) secret.Text
	Revoke   func(secret.Text)

	mu      sync.Mutex
	created []createdToken
}

// Permission is a permission that the page offers.
type Permission struct {
	Name    string
	English string // "" if the name is English
	Ticked  bool   // at first
}

// createdToken is a token that was created on the page.
type createdToken struct {
	Number     int
	Name, User string
	Revoked    bool
	value      secret.Text
}

// tokenForm is what the page shows.
type tokenForm struct {
	*TokenPage
	Permissions           []Permission
	User, Name, ExpiresAt string
	Problem               Words
	Token                 secret.Text // the new one, which is shown only once
	Address, Organization string
	Created               []createdToken
	ticked                []string
	expiresAt             time.Time
}

// ServeHTTP shows the form, or takes a button: {do: create, user, name, expires, permission…} or
// {do: revoke:{number}}. Another site's page can't press them.
func (p *TokenPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	http.NewCrossOriginProtection().Handler(http.HandlerFunc(p.serve)).ServeHTTP(w, r)
}

func (p *TokenPage) serve(w http.ResponseWriter, r *http.Request) {
	status, form := http.StatusOK, p.read(r)
	number, revoke := strings.CutPrefix(r.PostFormValue("do"), "revoke:")
	switch {
	case r.Method != http.MethodPost:
	case revoke:
		p.revoke(number)
	case form.check(p.Now()):
		form.Token = p.create(&form)
		form.Address, form.Organization = p.Describe(r, form.User)
	default:
		status = http.StatusUnprocessableEntity
	}
	p.mu.Lock()
	form.Created = slices.Clone(p.created)
	p.mu.Unlock()
	page.Write(w, status, "token.html", form)
}

// read returns the form as it was sent or, at first, as the query fills it in.
func (p *TokenPage) read(r *http.Request) tokenForm {
	q, sent := r.URL.Query(), url.Values{}
	if r.Method == http.MethodPost {
		_ = r.ParseForm()
		sent = r.PostForm
	}
	form := tokenForm{
		TokenPage: p, Permissions: slices.Clone(p.Permissions),
		User: cmp.Or(sent.Get("user"), p.Users[0]),
		Name: q.Get("name"), ExpiresAt: p.Now().AddDate(1, 0, 0).Format(time.DateOnly),
	}
	ticked, given := strings.Split(q.Get("scopes"), ","), q.Has("scopes")
	if sent.Get("do") == "create" {
		form.Name, form.ExpiresAt = strings.TrimSpace(sent.Get("name")), sent.Get("expires")
		ticked, given = sent["permission"], true
	}
	for i := range form.Permissions {
		one := &form.Permissions[i]
		if given {
			one.Ticked = slices.Contains(ticked, one.Name)
		}
		if one.Ticked {
			form.ticked = append(form.ticked, one.Name)
		}
	}
	return form
}

// check reports whether a token can be created as the form says, else with what is wrong.
func (f *tokenForm) check(now time.Time) bool {
	var err error
	if f.ExpiresAt != "" {
		f.expiresAt, err = time.Parse(time.DateOnly, f.ExpiresAt)
	}
	switch {
	case !slices.Contains(f.Users, f.User):
		f.Problem = Text("没有这个用户。", "There is no such user.")
	case f.Name == "":
		f.Problem = Text("请填写名称。", "Give the token a name.")
	case len(f.ticked) == 0:
		f.Problem = Text("请至少选择一项权限。", "Tick at least one permission.")
	case err != nil || f.ExpiresAt != "" && !f.expiresAt.After(now):
		f.Problem = Text("到期日必须晚于今天。", "The date must be after today.")
	}
	return f.Problem == Words{}
}

func (p *TokenPage) create(f *tokenForm) secret.Text {
	value := p.Create(f.User, f.ticked, f.expiresAt)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.created = append(p.created, createdToken{
		Number: len(p.created) + 1, Name: f.Name, User: f.User, value: value,
	})
	return value
}

// revoke revokes a token that was created on the page. It may be called twice.
func (p *TokenPage) revoke(number string) {
	n, err := strconv.Atoi(number)
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.created, func(c createdToken) bool { return c.Number == n })
	if err != nil || i < 0 {
		return
	}
	p.Revoke(p.created[i].value)
	p.created[i].Revoked = true
}
