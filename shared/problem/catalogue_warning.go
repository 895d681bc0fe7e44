package problem

import "net/http"

// warnings are the warnings that a working binding may carry.
func warnings() map[Code]entry {
	return map[Code]entry{
		ManyTokens: {
			status: http.StatusUnprocessableEntity,
			title:  text{"这个 GitHub 账号的绑定接近上限", "This GitHub account is bound often"},
			detail: text{
				"此账号已有 {count} 个绑定；GitHub 最多保留 10 个令牌。",
				"This account has {count} bindings; GitHub keeps ten tokens at most.",
			},
			remedy: text{
				"请为更多实例使用另一个 GitHub 账号。",
				"Use another GitHub account for further instances.",
			},
		},
		TokenInTheClear: {
			status: http.StatusUnprocessableEntity,
			title:  text{"令牌以明文传输", "The token travels in the clear"},
			detail: text{
				"该地址使用 http，令牌在网络上不加密。",
				"The address is plain http: the token crosses the network unencrypted.",
			},
			remedy: text{
				"如有可能，请为站点启用 https 后重新绑定。",
				"Serve the site over https if you can, and bind again.",
			},
		},
		ExpiryUnknown: {
			status: http.StatusUnprocessableEntity,
			title:  text{"不知道令牌何时过期", "The token's expiry is not known"},
			detail: text{
				"{platform} 不提供令牌的过期时间，因此无法在过期前提醒。",
				"{platform} doesn't tell when a token expires, so there can be no warning before it does.",
			},
			remedy: text{
				"重新绑定时填写到期时间，即可在到期前收到提醒。",
				"Bind again with the expiry, and you are warned before that day.",
			},
		},
		PermissionNotProvable: {
			status: http.StatusUnprocessableEntity,
			title:  text{"有的权限无法验证", "A permission can't be proved"},
			detail: text{"无法验证权限：{permission}。", "Not provable: {permission}."},
			remedy: text{
				"请在 {platform} 确认令牌包含该权限。",
				"Make sure on {platform} that the token has it.",
			},
			reasons: map[string]more{
				"write": {detail: text{
					"无法验证“{permission}”：不写入就无法证明写权限。",
					"{permission} can't be proved: a write can't be tried without writing.",
				}},
				"no_repository": {detail: text{
					"无法验证“{permission}”：令牌看不到任何代码库。",
					"{permission} can't be proved: the token sees no repository to try it on.",
				}},
				"no_answer": {detail: text{
					"无法验证“{permission}”：平台没有给出明确的答复。",
					"{permission} can't be proved: the platform gave no clear answer.",
				}},
			},
		},
		NotAdministrator: {
			status: http.StatusUnprocessableEntity,
			title:  text{"可能不是管理员", "Perhaps not an administrator"},
			detail: text{
				"无法确认令牌所属用户是 {platform} 管理员。",
				"It can't be confirmed that the token's user is a {platform} administrator.",
			},
			remedy: text{
				"若之后无法安装 Webhook，请改用管理员的令牌重新绑定。",
				"If webhooks can't be installed later, bind again with an administrator's token.",
			},
			reasons: map[string]more{
				"not_admin": {detail: text{
					"令牌所属用户不是 {platform} 管理员。",
					"The token's user is not a {platform} administrator.",
				}},
			},
		},
		UsernameUnverified: {
			status: http.StatusUnprocessableEntity,
			title:  text{"用户名未经验证", "The user name is not verified"},
			detail: text{
				"{platform} 没有能证明用户名的检查：任何用户名都被接受，或没有可用于检查的代码库。",
				"Nothing on {platform} proves the user name: " +
					"any name is accepted, or there is no repository to try it on.",
			},
			remedy: text{
				"请自行核对克隆账号。",
				"Check the clone account yourself.",
			},
		},
	}
}
