package problem

import "net/http"

// consents are what goes wrong in a bind by OAuth.
func consents() map[Code]entry {
	return map[Code]entry{
		PlatformNotConfigured: {
			status: http.StatusServiceUnavailable,
			title:  text{"{platform} 尚未配置", "{platform} is not set up"},
			detail: text{
				"管理员还没有为 {platform} 登记 OAuth 应用。",
				"Your administrator has registered no OAuth app for {platform} yet.",
			},
			remedy: text{
				"请管理员为 {platform} 登记 OAuth 应用。",
				"Ask your administrator to register one for {platform}.",
			},
		},
		ConsentRefused: {
			status: http.StatusForbidden,
			title:  text{"授权被拒绝", "The consent was refused"},
			detail: text{
				"在 {platform} 的授权页面上没有同意授权。",
				"The consent was not given on {platform}'s page.",
			},
			remedy: text{
				"如需绑定，请重新开始并同意授权。",
				"To bind, start again and give the consent.",
			},
		},
		AnotherBrowser: {
			status: http.StatusForbidden,
			title:  text{"授权来自另一个浏览器", "The consent came from another browser"},
			detail: text{
				"这不是开始授权的浏览器，或者此后在其中又开始了太多次绑定。为了安全，没有绑定任何账号。",
				"This is not the browser that began, or too many binds were begun in it since. " +
					"For safety, nothing was bound.",
			},
			remedy: text{
				"请在同一个浏览器中重新开始绑定，不要使用别人发来的链接。",
				"Start again and stay in one browser. Don't use a link that somebody sent you.",
			},
		},
		CookiesBlocked: {
			status: http.StatusForbidden,
			title:  text{"浏览器没有送回 Cookie", "The browser sent no cookie back"},
			detail: text{
				"绑定需要一个第一方 Cookie，但浏览器没有保存它，或者授权是在另一个浏览器中完成的。",
				"Binding needs one first-party cookie. The browser didn't keep it, " +
					"or the consent ended in another browser.",
			},
			remedy: text{
				"请允许此站点使用 Cookie，然后在同一个浏览器中重新开始。",
				"Allow cookies for this site, then start again in the same browser.",
			},
		},
		AuthorizationExpired: {
			status: http.StatusGone,
			title:  text{"授权已超时", "The authorization has expired"},
			detail: text{
				"授权须在开始后 15 分钟内完成。没有绑定任何账号。",
				"An authorization must be finished within 15 minutes. Nothing was bound.",
			},
			remedy: text{"请重新开始绑定。", "Start again."},
		},
		AuthorizationDone: {
			status: http.StatusConflict,
			title:  text{"授权已使用过", "The authorization was used already"},
			detail: text{
				"这次授权已经处理过，不能再次使用。",
				"This authorization has been worked on already and can't be used again.",
			},
			remedy: text{
				"请查看绑定状态；如未绑定，请重新开始。",
				"Look at the binding's status; if it isn't bound, start again.",
			},
		},
		AuthorizationUnknown: {
			status: http.StatusNotFound,
			title:  text{"没有这次授权", "There is no such authorization"},
			detail: text{
				"没有与此请求对应的授权，或者凭据不符。",
				"No authorization fits this request.",
			},
			remedy: text{"请重新开始绑定。", "Start again."},
		},
		NotANavigation: {
			status: http.StatusForbidden,
			title:  text{"只能由浏览器直接打开", "Open this in the browser itself"},
			detail: text{
				"这个地址只接受浏览器的页面跳转，不接受脚本、内嵌页面或预加载的请求。",
				"This address takes a browser's own navigation, not a script's call, a frame " +
					"or a prefetch.",
			},
			remedy: text{
				"请在浏览器中直接打开链接。",
				"Open the link in the browser.",
			},
		},
		AnotherUser: {
			status: http.StatusForbidden,
			title:  text{"不是发起授权的用户", "Not the user who started"},
			detail: text{
				"确认者不是发起这次授权的用户。为了安全，授权已作废。",
				"Another user than the one who started has confirmed. For safety, it was discarded.",
			},
			remedy: text{
				"请由同一个用户开始并完成绑定。",
				"Start and finish as the same user.",
			},
		},
		AnotherInstance: {
			status: http.StatusConflict,
			title:  text{"不是开始时选择的实例", "Not the instance named at the start"},
			detail: text{
				"这次授权是为另一个实例开始的。",
				"The authorization was started for another instance.",
			},
			remedy: text{
				"请确认开始时选择的实例，或为这个实例重新开始。",
				"Confirm the instance that was named, or start again for this one.",
			},
		},
		NotAPersonalAccount: {
			status: http.StatusUnprocessableEntity,
			title:  text{"不是 GitHub 个人账号", "Not a personal GitHub account"},
			detail: text{
				"只支持 GitHub 个人账号，而这个账号的类型是“{type}”。",
				"Only personal GitHub accounts can be bound; this one is of the type {type}.",
			},
			remedy: text{
				"请用个人账号登录 GitHub 后重新开始。",
				"Sign in to GitHub with a personal account, then start again.",
			},
		},
		TooManyTokens: {
			status: http.StatusConflict,
			title:  text{"这个 GitHub 账号的绑定已达上限", "This GitHub account is bound too often"},
			detail: text{
				"GitHub 对每个用户和应用最多保留 10 个令牌，再多一个就会使最早的绑定失效。" +
					"此账号已有 {count} 个。",
				"GitHub keeps ten tokens a user and app; one more would kill the oldest binding. " +
					"This account has {count}.",
			},
			remedy: text{
				"请先解绑一个不再需要的实例，或改用另一个 GitHub 账号。",
				"Unbind an instance that needs it no longer, or use another GitHub account.",
			},
		},
		ClientRefused: {
			status: http.StatusBadGateway,
			title:  text{"{platform} 不接受 Bindery 的应用凭据", "{platform} refuses Bindery's own credentials"},
			detail: text{
				"{platform} 拒绝了管理员配置的 OAuth 应用凭据。您的账号和已有绑定不受影响。",
				"{platform} refused the OAuth app's credentials. Your account and your bindings are fine.",
			},
			remedy: text{
				"请管理员检查 OAuth 应用的 ID、密钥和回调 URL。",
				"Ask your administrator to check the app's id, secret and callback URL.",
			},
			reasons: refusedClients(),
		},
	}
}

// refusedClients are the reasons of [ClientRefused] that name what the operator has to change.
func refusedClients() map[string]more {
	return map[string]more{
		"suspended": {
			detail: text{
				"{platform} 已停用 Bindery 的 OAuth 应用。您的账号和已有绑定不受影响。",
				"{platform} has suspended Bindery's OAuth app. Your account and your bindings are fine.",
			},
			remedy: text{
				"请管理员在 {platform} 查看该应用被停用的原因。",
				"Ask your administrator to find out on {platform} why the app is suspended.",
			},
		},
		"redirect_uri": {
			detail: text{
				"{platform} 中登记的回调 URL 与 Bindery 的不一致。您的账号和已有绑定不受影响。",
				"The callback URL registered at {platform} is not Bindery's. " +
					"Your account and your bindings are fine.",
			},
			remedy: text{
				"请管理员在 {platform} 的 OAuth 应用中更正回调 URL。",
				"Ask your administrator to correct the callback URL in the app at {platform}.",
			},
		},
		"scope": {
			detail: text{
				"{platform} 不允许 Bindery 的 OAuth 应用申请所需的权限。您的账号和已有绑定不受影响。",
				"{platform} does not let Bindery's OAuth app ask for the permissions that it needs. " +
					"Your account and your bindings are fine.",
			},
			remedy: text{
				"请管理员在 {platform} 的 OAuth 应用中勾选所需的权限。",
				"Ask your administrator to tick the needed permissions in the app at {platform}.",
			},
		},
		"github_app": {
			detail: text{
				"管理员登记的是 GitHub App，而不是 OAuth 应用，因此令牌没有所需的权限。您的账号没有问题。",
				"A GitHub App is registered in place of an OAuth app, so its tokens lack permissions. " +
					"Your account is fine.",
			},
			remedy: text{
				"请管理员在 {platform} 登记 OAuth App，并换用它的 ID 和密钥。",
				"Ask your administrator to register an OAuth app at {platform}, " +
					"and to use its id and secret.",
			},
		},
	}
}
