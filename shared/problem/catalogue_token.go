package problem

import "net/http"

// tokens are what platforms say of tokens and their users.
func tokens() map[Code]entry {
	return map[Code]entry{
		TokenRejected: {
			status: http.StatusUnprocessableEntity,
			title:  text{"{platform} 不接受该令牌", "{platform} does not accept the token"},
			detail: text{
				"平台表示该令牌无效。",
				"The platform says that the token is not valid.",
			},
			remedy: text{
				"请检查令牌是否完整复制、是否已被撤销，必要时新建令牌。",
				"Check that it was copied whole and was not revoked; create a new one if need be.",
			},
			reasons: map[string]more{
				"token_type": {
					detail: text{
						"{platform} 的这个接口不接受这种类型的令牌。",
						"{platform} does not accept this type of token here.",
					},
					remedy: text{
						"请在 {platform} 的个人设置中新建个人访问令牌。",
						"Create a personal access token in your settings on {platform}.",
					},
				},
				"bound": {
					detail: text{
						"{platform} 刚才没有接受此绑定的令牌。",
						"{platform} did not accept this binding's token just now.",
					},
					remedy: text{
						"请检查此绑定；如果检查结果是授权已失效，请重新绑定。",
						"Check the binding; if it then says that the token was revoked, bind again.",
					},
				},
				"revoked": {detail: text{
					"该令牌已被撤销。",
					"The token has been revoked.",
				}, remedy: text{"请新建令牌。", "Create a new one."}},
				"code": {
					detail: text{
						"{platform} 不接受这次授权：授权码无效、已使用或已过期。",
						"{platform} does not accept this consent: its code is wrong, used or too old.",
					},
					remedy: text{"请重新开始绑定。", "Start again."},
				},
				"unverified_email": {
					detail: text{
						"您在 {platform} 的主邮箱尚未验证，因此它不发放令牌。",
						"Your primary e-mail on {platform} is not verified, so it issues no token.",
					},
					remedy: text{
						"请先在 {platform} 验证邮箱，然后重新开始绑定。",
						"Verify the e-mail on {platform}, then start again.",
					},
				},
				"consent": {
					detail: text{
						"{platform} 不接受通过授权取得的令牌，授权可能已被撤销。",
						"{platform} does not accept the token of the consent, which may have been revoked.",
					},
					remedy: text{"请重新绑定。", "Bind again."},
				},
			},
		},
		TokenExpired: {
			status: http.StatusUnprocessableEntity,
			title:  text{"令牌已过期", "The token has expired"},
			detail: text{
				"{platform} 表示该令牌已过期。",
				"{platform} says that the token has expired.",
			},
			remedy: text{
				"请在 {platform} 新建令牌，然后重新绑定。",
				"Create a new token on {platform} and bind again.",
			},
			reasons: map[string]more{
				"consent": {
					detail: text{
						"{platform} 表示通过授权取得的令牌已过期。",
						"{platform} says that the token of the consent has expired.",
					},
					remedy: text{"请重新绑定。", "Bind again."},
				},
			},
		},
		UserBlocked: {
			status: http.StatusUnprocessableEntity,
			title:  text{"平台用户已被禁用", "The platform's user is blocked"},
			detail: text{
				"令牌所属的 {platform} 用户不是可用状态。",
				"The {platform} user that the token belongs to is not active.",
			},
			remedy: text{
				"请联系 {platform} 管理员恢复该用户，或使用其他用户的令牌。",
				"Ask {platform}'s administrator to activate the user, or use another user's token.",
			},
			reasons: blockedUsers(),
		},
		PermissionMissing: {
			status: http.StatusUnprocessableEntity,
			title:  text{"令牌缺少权限", "The token lacks a permission"},
			detail: text{"令牌缺少以下权限：{missing}。", "The token lacks: {missing}."},
			remedy: text{
				"请在 {platform} 新建包含这些权限的令牌，然后重新绑定。",
				"Create a token on {platform} that has them, and bind again.",
			},
			reasons: map[string]more{
				"fine_grained": {
					detail: text{
						"这是细粒度令牌，或者所在群组只允许细粒度令牌；它的权限不够。",
						"The token is a fine-grained one, or its group accepts only those, " +
							"and its permissions are not enough.",
					},
					remedy: text{
						"请在 {platform} 新建经典（classic）个人访问令牌，勾选“api”，然后重新绑定。",
						"Create a classic personal access token on {platform}, tick “api” there, and bind again.",
					},
				},
				"dpop": {
					detail: text{
						"{platform} 要求该用户的令牌附带持有证明（DPoP），Bindery 无法提供。令牌本身仍然有效。",
						"{platform} requires proof of possession (DPoP) with this user's tokens, which Bindery " +
							"can't give. The token itself is valid.",
					},
					remedy: text{
						"请在 {platform} 的用户设置“访问令牌”中关闭 DPoP，或使用未开启 DPoP 的用户的令牌。",
						"Turn DPoP off under access tokens in the user's settings on {platform}, " +
							"or use the token of a user without it.",
					},
				},
				"impersonation": {
					detail: text{
						"这是模拟用户（impersonation）令牌，而 {platform} 已禁用模拟用户功能。",
						"This is an impersonation token, and impersonation is disabled on {platform}.",
					},
					remedy: text{
						"请由用户本人新建个人访问令牌并重新绑定，或请 {platform} 管理员启用该功能。",
						"Bind again with a personal access token that the user has created, " +
							"or ask {platform}'s administrator to enable impersonation.",
					},
				},
				"single_sign_on": {
					detail: text{
						"{platform} 组织要求令牌经过单点登录（SAML）授权。",
						"A {platform} organization requires that the token is authorized by its single sign-on.",
					},
					remedy: text{
						"请先在 {platform} 登录该组织的单点登录，然后重新绑定。",
						"Sign in to the organization's single sign-on on {platform}, then bind again.",
					},
				},
				"not_approved": {
					detail: text{
						"{platform} 组织限制第三方应用，尚未批准此应用。",
						"A {platform} organization restricts apps, and has not approved this one.",
					},
					remedy: text{
						"请组织所有者在 {platform} 批准此应用，然后重新绑定。",
						"Ask the organization's owner to approve the app on {platform}, then bind again.",
					},
				},
				"whole_consent": {
					detail: text{"授权不包含以下权限：{missing}。", "The consent does not include: {missing}."},
					remedy: text{
						"请重新绑定，并在 {platform} 的页面上同意授权。若仍然缺少，请管理员检查登记的是 OAuth 应用。",
						"Bind again, and give the consent on {platform}'s page. If it is still missing, ask your " +
							"administrator to check that an OAuth app is registered.",
					},
				},
				"consent": {
					detail: text{"授权不包含以下权限：{missing}。", "The consent does not include: {missing}."},
					remedy: text{
						"请重新绑定，并在 {platform} 的授权页面上保留所有权限。",
						"Bind again, and leave every permission ticked on {platform}'s page.",
					},
				},
				"consumer": {
					detail: text{
						"{platform} 的 OAuth 应用没有以下权限：{missing}。",
						"The OAuth app at {platform} lacks: {missing}.",
					},
					remedy: text{
						"请管理员在 {platform} 的 OAuth 应用中勾选这些权限，然后重新绑定。",
						"Ask your administrator to tick them in the app at {platform}, then bind again.",
					},
				},
				"optional": {
					detail: text{
						"授权不包含以下可选权限：{missing}。个人的代码库不受影响。",
						"The consent does not include, and need not: {missing}. " +
							"Your own repositories are not affected.",
					},
					remedy: text{
						"如需使用组织的代码库，请重新绑定并勾选这些权限。",
						"To use repositories of organizations, bind again and tick them.",
					},
				},
			},
		},
		UsernameMismatch: {
			status: http.StatusUnprocessableEntity,
			title:  text{"用户名与令牌不符", "The user name is not the token's"},
			detail: text{
				"令牌有效，但不属于所填的用户名。",
				"The token is valid, but belongs to another user name than the one given.",
			},
			remedy: text{
				"请填写创建令牌的用户的用户名（不是邮箱）。",
				"Enter the user name, not the e-mail, of the user who created the token.",
			},
			reasons: map[string]more{
				"bot": {
					detail: text{
						"令牌有效，但它是项目或群组的访问令牌，属于机器人用户 {username}。",
						"The token is valid, but it is a project's or group's: " +
							"it belongs to the bot user {username}.",
					},
					remedy: text{
						"请在用户名中填写 {username}。",
						"Enter {username} as the user name.",
					},
				},
				"clone_account": {
					detail: text{
						"令牌有效，但 {platform} 不接受用所填的克隆账号和该令牌访问代码。",
						"The token is valid, but {platform} serves no code to it with the clone account given.",
					},
					remedy: text{
						"请填写“个人设置 > HTTPS 密码”页面上的克隆账号。",
						"Enter the clone account shown under personal settings, HTTPS password.",
					},
				},
			},
		},
		OrganizationUnknown: {
			status: http.StatusUnprocessableEntity,
			title:  text{"需要指定组织", "The organization is needed"},
			detail: text{
				"无法从令牌得知要绑定哪个组织。",
				"It can't be found out from the token which organization to bind.",
			},
			remedy: text{
				"请填写组织 ID（见云效组织管理后台的基本信息）。",
				"Enter the organization's id, which its settings page shows.",
			},
			reasons: map[string]more{
				"several": {
					detail: text{
						"该令牌可以访问多个组织：{organizations}。",
						"The token can reach several organizations: {organizations}.",
					},
					remedy: text{
						"请选择其中一个组织。",
						"Choose one of them.",
					},
				},
				"not_a_member": {detail: text{
					"该令牌不能访问所填的组织。",
					"The token can't reach the organization that was given.",
				}, remedy: text{
					"请检查组织 ID，并确认创建令牌的用户是该组织的成员。",
					"Check the organization's id, and that the token's user is a member of it.",
				}},
			},
		},
		AddressNotListed: {
			status: http.StatusUnprocessableEntity,
			title:  text{"组织的 IP 白名单拒绝了访问", "The organization's IP allow-list refuses us"},
			detail: text{
				"{platform} 组织开启了 IP 白名单，Bindery 的出口地址不在其中。",
				"The {platform} organization has an IP allow-list, and Bindery's address is not on it.",
			},
			remedy: text{
				"请组织管理员把 Bindery 的出口 IP 加入白名单。",
				"Ask the organization's administrator to add the address that Bindery calls from.",
			},
		},
		RevocationFailed: {
			status: http.StatusBadGateway,
			title:  text{"旧令牌未能撤销", "An old token could not be revoked"},
			detail: text{
				"多次尝试后仍无法在 {platform} 撤销此绑定以前的令牌，它可能仍然有效。这里已不再保存它。",
				"Many tries to revoke a token that this binding had before have failed at {platform}. " +
					"It may still work there; here it is deleted.",
			},
			remedy: text{
				"请在 {platform} 的授权应用页面撤销此应用的授权，然后重新绑定；同一账号的其他绑定也须重新绑定。",
				"End the app's authorization on {platform}, under authorized applications, and bind " +
					"again, also wherever else this account is bound.",
			},
		},
		TokenRevoked: {
			status: http.StatusUnprocessableEntity,
			title:  text{"授权已被撤销", "The token was revoked"},
			detail: text{
				"{platform} 不再接受此绑定的令牌。",
				"{platform} no longer accepts this binding's token.",
			},
			remedy: text{"请重新绑定。", "Bind again."},
			reasons: map[string]more{
				"revoked_at_platform": {detail: text{
					"授权已在 {platform} 被撤销。",
					"The token was revoked at {platform}.",
				}},
				"token_may_be_lost": {detail: text{
					"刷新令牌时没有得到明确的答复，新令牌可能已丢失。不一定有人在 {platform} 撤销了授权。",
					"A refresh ended without a clear answer, and its new token may be lost. " +
						"Nobody needs to have revoked it at {platform}.",
				}},
				"token_lost": {detail: text{
					"Bindery 保存的 {platform} 令牌已不存在，无法再使用。令牌在 {platform} 可能仍然有效。",
					"Bindery's stored token for {platform} no longer exists and can't be used. " +
						"It may still be valid at {platform}.",
				}},
				"revoked_by_operator": {detail: text{
					"管理员撤销了 {platform} 的令牌。",
					"The operator revoked the tokens of {platform}.",
				}},
			},
		},
	}
}
