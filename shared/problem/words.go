package problem

import (
	"cmp"
	"strings"
)

// Permission is a permission of a platform, for people.
type Permission struct {
	Group string // "" where the platform has no groups
	Words string
}

// permissions are the permissions of the platforms by the platforms' own names for them.
var permissions = map[string]struct{ group, words text }{
	// Codeup's page, where a token is created, has these names. It is in Chinese only.
	"组织成员：只读":    {baseServices, text{"组织成员：只读", "Organization members: read"}},
	"组织部门：只读":    {baseServices, text{"组织部门：只读", "Organization departments: read"}},
	"代码仓库：只读":    {codeManagement, text{"代码仓库：只读", "Repositories: read"}},
	"分支：只读":      {codeManagement, text{"分支：只读", "Branches: read"}},
	"标签：只读":      {codeManagement, text{"标签：只读", "Tags: read"}},
	"合并请求：只读":    {codeManagement, text{"合并请求：只读", "Merge requests: read"}},
	"提交：只读":      {codeManagement, text{"提交：只读", "Commits: read"}},
	"文件：只读":      {codeManagement, text{"文件：只读", "Files: read"}},
	"Webhook：只读": {codeManagement, text{"Webhook：只读", "Webhooks: read"}},
	"Webhook：读写": {codeManagement, text{"Webhook：读写", "Webhooks: read and write"}},
	// GitLab
	"api": {words: text{
		"读取代码仓库、管理 Webhook（完整的 API 权限）",
		"Read repositories and manage webhooks (complete access to the API)",
	}},
	// GitHub
	"repo": {words: text{
		"读写代码仓库、管理其 Webhook",
		"Read and write repositories, and manage their webhooks",
	}},
	// Gitee
	"user_info": {words: text{"读取您的个人信息", "Read your profile"}},
	"projects":  {words: text{"访问您的代码仓库", "Use your repositories"}},
	"hook":      {words: text{"管理代码仓库的 Webhook", "Manage the webhooks of repositories"}},
	"groups": {words: text{
		"访问您所在组织的代码仓库（可选）",
		"Use the repositories of your organizations (optional)",
	}},
	// Bitbucket
	"account":     {words: text{"读取您的账号信息", "Read your account"}},
	"repository":  {words: text{"读取您的代码仓库", "Read your repositories"}},
	"webhook":     {words: text{"管理代码仓库的 Webhook", "Manage the webhooks of repositories"}},
	"pullrequest": {words: text{"读取拉取请求", "Read pull requests"}},
}

var (
	baseServices   = text{"基础服务", "Base services"}
	codeManagement = text{"代码管理", "Code management"}
)

// PermissionIn returns a permission in the language, by the platform's own name for it. One that
// has no words is its name.
func PermissionIn(name string, lang Language) Permission {
	p := permissions[name]
	return Permission{p.group.in(lang), cmp.Or(p.words.in(lang), name)}
}

// Permissions returns the permissions that the problem names, as the platform names them.
func (p *Problem) Permissions() []string {
	named := cmp.Or(p.Params["missing"], p.Params["permission"])
	if named == "" {
		return nil
	}
	return strings.Split(named, ", ")
}

// fields are the fields of the forms that people fill in, as the forms name them.
var fields = map[string]text{
	"address":      {"地址", "the address"},
	"username":     {"用户名称", "the user name"},
	"token":        {"令牌", "the token"},
	"organization": {"组织", "the organization"},
	"expiresAt":    {"到期日", "the expiry date"},
	"branches":     {"分支", "the branches"},
	"search":       {"搜索内容", "the search"},
}

// quoted is a permission in words, with the platform's own name.
var quoted = text{"“{words}”（{name}）", "“{words}” ({name})"}

var listSeparator = text{"、", ", "}

// scopes are the scopes of Bindery's API in words.
var scopes = map[string]text{
	"bindery.read":         {"查看绑定", "see bindings"},
	"bindery.write":        {"更改绑定", "change bindings"},
	"bindery.credential":   {"取得凭据", "get credentials"},
	"bindery.repositories": {"查看代码仓库", "see repositories"},
}

// accounts are the types of accounts that GitHub names.
var accounts = map[string]text{
	"Organization": {"组织", "organization"},
	"Bot":          {"机器人", "bot"},
	"Enterprise":   {"企业", "enterprise"},
}

// inWords returns the value of a parameter as people call it. Most values mean the same to people
// and to programs.
func inWords(param, value string, lang Language) string {
	switch param {
	case "field":
		return cmp.Or(fields[value].in(lang), value)
	case "type":
		return cmp.Or(accounts[value].in(lang), value)
	case "scope":
		return cmp.Or(scopes[value].in(lang), value)
	case "missing", "permission":
		names := strings.Split(value, ", ")
		for i, name := range names {
			switch p := PermissionIn(name, lang); {
			case p.Group != "":
				names[i] = p.Words
			case p.Words != name: // the platform's page has the name only
				names[i] = strings.NewReplacer("{words}", p.Words, "{name}", name).Replace(quoted.in(lang))
			}
		}
		return strings.Join(names, listSeparator.in(lang))
	case "organizations":
		return strings.ReplaceAll(value, ", ", listSeparator.in(lang))
	}
	return value
}
