package problem

import "net/http"

// platforms are what platforms answer, and what they say of tokens.
func platforms() map[Code]entry {
	return map[Code]entry{
		AddressRefused: {
			status: http.StatusUnprocessableEntity,
			title:  text{"不接受这个地址", "This address is not accepted"},
			detail: text{
				"地址必须是公网可访问的 http 或 https 地址，不能指向内网或本机。",
				"The address must be a public http or https address, not a private or local one.",
			},
			remedy: text{
				"请填写公网可访问的地址。若是内网 GitLab，请管理员把它加入 BINDERY_PRIVATE_HOSTS。",
				"Enter a public address. For a private GitLab, " +
					"ask your administrator to list it in BINDERY_PRIVATE_HOSTS.",
			},
			reasons: map[string]more{
				"malformed": {
					detail: text{
						"地址格式不正确：只能包含协议、主机、端口和路径。",
						"The address is malformed: it may hold a scheme, a host, a port and a path only.",
					},
					remedy: text{
						"请填写类似 https://gitlab.example.com 的地址。",
						"Enter one like https://gitlab.example.com.",
					},
				},
				"scheme": {
					detail: text{
						"只支持 http 和 https。",
						"Only http and https are supported.",
					},
					remedy: text{
						"请填写以 http:// 或 https:// 开头的地址。",
						"Enter an address that begins with http:// or https://.",
					},
				},
			},
		},
		PortRefused: {
			status: http.StatusUnprocessableEntity,
			title:  text{"不接受这个端口", "This port is not accepted"},
			detail: text{
				"HTTPS 只支持 443 端口；HTTP 支持 80、21、443、70、210、280、488、591、777 和 1025~65535。",
				"HTTPS works on port 443 alone; HTTP on " +
					"80, 21, 443, 70, 210, 280, 488, 591, 777 and 1025 to 65535.",
			},
			remedy: text{
				"请改用允许的端口；HTTPS 需要其他端口时，请改用 HTTP。",
				"Use one of these ports; for another port than 443, serve it over HTTP.",
			},
		},
		CertificateUntrusted: {
			status: http.StatusBadGateway,
			title:  text{"站点证书不受信任", "The site's certificate is not trusted"},
			detail: text{
				"站点的 TLS 证书无法验证：自签名、已过期或与主机名不符。",
				"The site's TLS certificate can't be verified: " +
					"it is self-signed, has expired, or is another host's.",
			},
			remedy: text{
				"请为站点配置由公共 CA 签发的证书。暂不支持自签名证书。",
				"Give the site a certificate of a public authority. " +
					"Self-signed certificates are not supported.",
			},
			reasons: map[string]more{
				"expired": {detail: text{
					"站点的 TLS 证书已过期或尚未生效。",
					"The site's TLS certificate has expired, or is not valid yet.",
				}},
				"hostname": {detail: text{
					"站点的 TLS 证书不属于这个主机名。",
					"The site's TLS certificate belongs to another host name.",
				}},
				"self_signed": {detail: text{
					"站点的 TLS 证书是自签名的，或由未知机构签发。",
					"The site's TLS certificate is self-signed, or of an unknown authority.",
				}},
			},
		},
		PlatformUnreachable: {
			status: http.StatusBadGateway,
			title:  text{"无法访问 {platform}", "{platform} can't be reached"},
			detail: text{
				"源代码仓库站点没有响应。",
				"The source code site gives no answer.",
			},
			remedy: text{
				"请检查地址，并确认站点可从公网访问、没有防火墙阻挡，然后重试。",
				"Check the address and that the site can be reached from the internet, " +
					"not behind a firewall. Then try again.",
			},
			reasons: map[string]more{
				"dns": {detail: text{
					"找不到站点的主机名。",
					"The site's host name is not found.",
				}},
				"refused": {detail: text{
					"站点拒绝了连接。",
					"The site refused the connection.",
				}},
				"timeout": {detail: text{
					"站点没有在限定时间内响应。",
					"The site did not answer in time.",
				}},
			},
		},
		PlatformError: {
			status: http.StatusBadGateway,
			title:  text{"{platform} 返回错误", "{platform} answers with an error"},
			detail: text{
				"可以连接到站点，但它返回了意料之外的响应。",
				"The site can be reached, but its answer is not what was expected.",
			},
			remedy: text{
				"请确认地址是该平台的地址，稍后重试。",
				"Check that the address is the platform's, and try again soon.",
			},
			reasons: map[string]more{
				"issuer": {
					detail: text{
						"授权响应声明的签发方不是 {platform}。为了安全，没有绑定任何账号。",
						"The consent came back with another issuer than {platform}. " +
							"For safety, nothing was bound.",
					},
					remedy: text{"请重新开始绑定。", "Start again."},
				},
				"not_the_platform": {
					detail: text{
						"这个地址的响应不像 {platform} 的接口。",
						"What answers at this address does not look like {platform}'s API.",
					},
					remedy: text{
						"请填写 {platform} 的登录地址（若安装在子路径下，请包含子路径）。",
						"Enter the address where you sign in to {platform}, with its sub-path if it has one.",
					},
				},
				"redirect": {detail: text{
					"站点要求跳转到别的地址。携带令牌的请求不会跟随跳转。",
					"The site redirects to another address. A call that carries a token follows none.",
				}, remedy: text{
					"请直接填写跳转后的最终地址。",
					"Enter the address that the site redirects to.",
				}},
				"user_agent": {
					detail: text{
						"{platform} 拒绝了请求，通常是因为请求缺少 User-Agent。",
						"{platform} refused the call, as it does when a call has no User-Agent.",
					},
					remedy: text{
						"请管理员检查出口代理是否删除了请求头 User-Agent。",
						"Ask your administrator whether the egress proxy drops the header User-Agent.",
					},
				},
				"gone": {
					detail: text{
						"{platform} 已停用 Bindery 所用的接口。",
						"{platform} no longer offers the interface that Bindery uses.",
					},
					remedy: text{
						"请管理员升级 Bindery。",
						"Ask your administrator to update Bindery.",
					},
				},
			},
		},
		PlatformRateLimited: {
			status: http.StatusServiceUnavailable,
			title:  text{"{platform} 限制了请求频率", "{platform} limits the rate of calls"},
			detail: text{
				"平台暂时拒绝了过多的请求。已有的绑定不受影响。",
				"The platform refuses calls for a while. Existing bindings are not affected.",
			},
			remedy: text{
				"请等待 Retry-After 给出的秒数后重试。",
				"Wait for the seconds that Retry-After gives, then try again.",
			},
		},

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
				"请在 organization 中填写组织 ID（见云效组织管理后台的基本信息）。",
				"Give the organization's id in organization; its settings page shows it.",
			},
			reasons: map[string]more{
				"several": {
					detail: text{
						"该令牌可以访问多个组织：{organizations}。",
						"The token can reach several organizations: {organizations}.",
					},
					remedy: text{
						"请在 organization 中填写其中一个的 ID。",
						"Give the id of one of them in organization.",
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
				"{platform} could not be brought to revoke a token that this binding had before, in " +
					"many tries. It may still work there; here it is deleted.",
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
