package problem

import "net/http"

// Repositories, refs and files.
const (
	RepositoryUnknown Code = "repository_unknown"
	RefUnknown        Code = "ref_unknown"
	FileUnknown       Code = "file_unknown"
	FileTooLarge      Code = "file_too_large"
)

// Notices: a list of repositories that is right but not whole.
const (
	RepositoriesHidden Code = "repositories_hidden"
	ListCut            Code = "list_cut"
)

// repositories are what is wrong with a look at a repository.
func repositories() map[Code]entry {
	return map[Code]entry{
		RepositoryUnknown: {
			status: http.StatusNotFound,
			title:  text{"没有这个代码仓库", "There is no such repository"},
			detail: text{
				"{platform} 上没有这个代码仓库，或已绑定的用户无权查看。",
				"{platform} has no such repository, or the bound user may not see it.",
			},
			remedy: text{
				"请重新列出代码仓库并选择其中一个；如果列表中没有，请在平台上为该用户授予访问权限。" +
					"若已有订阅，请授予访问权限后立即同步，或取消订阅。",
				"List the repositories again and choose one of them; if it isn't listed, give the " +
					"user access to it on the platform. If there is a subscription, give the user access " +
					"and sync now, or end the subscription.",
			},
		},
		RefUnknown: {
			status: http.StatusNotFound,
			title:  text{"没有这个分支、标签或提交", "There is no such branch, tag or commit"},
			detail: text{
				"这个代码仓库中没有“{ref}”。",
				"The repository has no {ref}.",
			},
			remedy: text{
				"请使用 heads/分支名、tags/标签名或提交的哈希值，并检查拼写。",
				"Give heads/BRANCH, tags/TAG or a commit's hash, and check how it is spelled.",
			},
		},
		FileUnknown: {
			status: http.StatusNotFound,
			title:  text{"没有这个文件", "There is no such file"},
			detail: text{
				"在“{ref}”中没有文件“{path}”。",
				"There is no file {path} at {ref}.",
			},
			remedy: text{
				"请检查路径的拼写和大小写，它从仓库的根目录算起。",
				"Check how the path is spelled; it begins at the repository's root.",
			},
		},
		FileTooLarge: {
			status: http.StatusUnprocessableEntity,
			title:  text{"文件过大", "The file is too large"},
			detail: text{
				"“{path}”大于 {limit} 字节。",
				"{path} has more than {limit} bytes.",
			},
			remedy: text{
				"请用 git 克隆代码仓库来读取这个文件。",
				"Clone the repository with git to read it.",
			},
		},
		RepositoriesHidden: {
			status: http.StatusUnprocessableEntity,
			title:  text{"部分代码仓库未列出", "Some repositories are not listed"},
			detail: text{
				"{platform} 隐藏了某些组织的代码仓库。",
				"{platform} hides the repositories of some organizations.",
			},
			remedy: text{
				"请在 {url} 上为这些组织授权，然后重新列出。",
				"Authorize those organizations at {url}, then list again.",
			},
			reasons: map[string]more{
				"single_sign_on": {detail: text{
					"某些组织要求单点登录，{platform} 因此没有显示它们的代码仓库。",
					"Some organizations require single sign-on, so {platform} doesn't show their " +
						"repositories.",
				}},
			},
		},
		ListCut: {
			status: http.StatusUnprocessableEntity,
			title:  text{"列表不完整", "The list is not complete"},
			detail: text{
				"只列出了前 {limit} 项，{platform} 不再给出更多。",
				"Only the first {limit} are listed; {platform} lists no more.",
			},
			remedy: text{
				"请用更具体的名称搜索。",
				"Search for more of the name.",
			},
			reasons: map[string]more{"search": {
				detail: text{
					"{platform} 不提供搜索；刚刚查看的 {limit} 个代码仓库中没有匹配项。",
					"{platform} has no search; none of the {limit} repositories that were looked at matches.",
				},
				remedy: text{
					"请继续加载以搜索其余的代码仓库。",
					"Load more to search the others.",
				},
			}},
		},
	}
}
