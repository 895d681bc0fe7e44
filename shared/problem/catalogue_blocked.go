package problem

// blockedUsers are the reasons of [UserBlocked], each with what the user or an administrator can
// do.
func blockedUsers() map[string]more {
	return map[string]more{
		"terms": {
			detail: text{
				"令牌所属的 {platform} 用户还没有接受服务条款。",
				"The token's {platform} user has not accepted the terms of service.",
			},
			remedy: text{
				"请用该用户在浏览器中登录 {platform} 并接受条款，然后重试。",
				"Sign in to {platform} as that user in a browser, accept the terms, then try again.",
			},
		},
		"password_expired": {
			detail: text{
				"令牌所属的 {platform} 用户的密码已过期。",
				"The password of the token's {platform} user has expired.",
			},
			remedy: text{
				"请用该用户在浏览器中登录 {platform} 并更新密码，然后重试。",
				"Sign in to {platform} as that user in a browser, set a new password, then try again.",
			},
		},
		"unconfirmed_email": {
			detail: text{
				"令牌所属的 {platform} 用户的邮箱尚未验证。",
				"The e-mail of the token's {platform} user is not confirmed.",
			},
			remedy: text{
				"请按 {platform} 发送的确认邮件验证邮箱，然后重试。",
				"Confirm it with the message that {platform} has sent, then try again.",
			},
		},
		"blocked": {
			detail: text{
				"{platform} 管理员已禁用令牌所属的用户。",
				"An administrator of {platform} has blocked the token's user.",
			},
			remedy: text{
				"请联系 {platform} 管理员解除禁用，或使用其他用户的令牌。",
				"Ask {platform}'s administrator to unblock the user, or use another user's token.",
			},
		},
		"banned": {
			detail: text{
				"令牌所属的用户已被 {platform} 封禁。",
				"The token's user is banned from {platform}.",
			},
			remedy: text{
				"请联系 {platform} 管理员，或使用其他用户的令牌。",
				"Ask {platform}'s administrator, or use another user's token.",
			},
		},
		"deactivated": {
			detail: text{
				"令牌所属的 {platform} 用户已停用，通常是因为长期未登录。",
				"The token's {platform} user is deactivated, often for not signing in for long.",
			},
			remedy: text{
				"请用该用户在浏览器中登录 {platform} 以重新激活，或请管理员激活，然后重试。",
				"Sign in to {platform} as that user in a browser, which activates it, " +
					"or ask its administrator. Then try again.",
			},
		},
		"pending_approval": {
			detail: text{
				"令牌所属的 {platform} 用户正在等待管理员批准。",
				"The token's {platform} user is waiting for an administrator's approval.",
			},
			remedy: text{
				"请 {platform} 管理员批准该用户，然后重试。",
				"Ask {platform}'s administrator to approve the user, then try again.",
			},
		},
		"ldap_blocked": {
			detail: text{
				"令牌所属的 {platform} 用户已被企业目录（LDAP）禁用。",
				"The token's {platform} user is blocked by the company's directory (LDAP).",
			},
			remedy: text{
				"请目录管理员恢复该用户，或使用其他用户的令牌。",
				"Ask the directory's administrator to restore the user, or use another user's token.",
			},
		},
		"internal_user": {
			detail: text{
				"令牌属于 {platform} 的内部用户，不能用于此操作。",
				"The token belongs to an internal user of {platform}, which may not do this.",
			},
			remedy: text{
				"请使用普通用户的令牌。",
				"Use the token of an ordinary user.",
			},
		},
		"suspended": {
			detail: text{
				"您的 {platform} 账号已被暂停。",
				"Your {platform} account is suspended.",
			},
			remedy: text{
				"请联系 {platform} 的客服，或绑定另一个账号。",
				"Ask {platform}'s support, or bind another account.",
			},
		},
		"two_step": {
			detail: text{
				"{platform} 要求该用户先启用两步验证。",
				"{platform} requires that the user turns two-step verification on.",
			},
			remedy: text{
				"请在 {platform} 的个人设置中启用两步验证，然后重试。",
				"Turn it on in your settings on {platform}, then try again.",
			},
		},
	}
}
