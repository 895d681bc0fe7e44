package problem

import "net/http"

// Code names a problem for programs. Codes are part of the API: they never change their meaning.
type Code string

// The caller's request.
const (
	InputMalformed     Code = "input_malformed"
	BodyTooLarge       Code = "body_too_large"
	MediaTypeUnknown   Code = "media_type_unknown"
	RouteUnknown       Code = "route_unknown"
	MethodNotAllowed   Code = "method_not_allowed"
	NotSignedIn        Code = "not_signed_in"
	ScopeMissing       Code = "scope_missing"
	InstanceUnknown    Code = "instance_unknown"
	PlatformUnknown    Code = "platform_unknown"
	MethodMismatch     Code = "method_mismatch"
	NotBound           Code = "not_bound"
	Conflict           Code = "conflict"
	PreconditionFailed Code = "precondition_failed"
	TooManyCalls       Code = "too_many_calls"
)

// Bindery itself.
const (
	StorageUnavailable Code = "storage_unavailable"
	SignInUnavailable  Code = "sign_in_unavailable"
	InstancesUnknown   Code = "instances_unavailable"
	Internal           Code = "internal"
)

// The platform's address, and the platform.
const (
	AddressRefused       Code = "address_refused"
	PortRefused          Code = "port_refused"
	CertificateUntrusted Code = "certificate_untrusted"
	PlatformUnreachable  Code = "platform_unreachable"
	PlatformError        Code = "platform_error"
	PlatformRateLimited  Code = "platform_rate_limited"
)

// What the platform says of a token.
const (
	TokenRejected       Code = "token_rejected"
	TokenExpired        Code = "token_expired"
	UserBlocked         Code = "user_blocked"
	PermissionMissing   Code = "permission_missing"
	UsernameMismatch    Code = "username_mismatch"
	OrganizationUnknown Code = "organization_unknown"
	AddressNotListed    Code = "address_not_listed"
	TokenRevoked        Code = "token_revoked"
)

// Binding by OAuth.
const (
	PlatformNotConfigured Code = "platform_not_configured"
	ConsentRefused        Code = "consent_refused"
	AnotherBrowser        Code = "another_browser"
	CookiesBlocked        Code = "cookies_blocked"
	AuthorizationExpired  Code = "authorization_expired"
	AuthorizationDone     Code = "authorization_done"
	AuthorizationUnknown  Code = "authorization_unknown"
	NotANavigation        Code = "not_a_navigation"
	AnotherUser           Code = "another_user"
	AnotherInstance       Code = "another_instance"
	NotAPersonalAccount   Code = "not_a_personal_account"
	TooManyTokens         Code = "too_many_tokens"
	ClientRefused         Code = "client_refused"
)

// Warnings: a binding that works may carry them.
const (
	TokenInTheClear       Code = "token_in_the_clear"
	ExpiryUnknown         Code = "expiry_unknown"
	PermissionNotProvable Code = "permission_not_provable"
	NotAdministrator      Code = "not_administrator"
	UsernameUnverified    Code = "username_unverified"
	ManyTokens            Code = "many_tokens"
)

var catalogue = map[Code]entry{
	InputMalformed: {
		status: http.StatusBadRequest,
		title:  text{"请求有误", "The request is malformed"},
		detail: text{"字段“{field}”的值无效。", "The value of {field} is not valid."},
		remedy: text{"请改正后重新提交。", "Correct it and send the request again."},
		reasons: map[string]more{
			"required": {detail: text{"缺少字段“{field}”。", "{field} is missing."}},
			"unknown": {
				detail: text{"没有字段“{field}”。", "There is no field {field}."},
				remedy: text{
					"只发送接口文档列出的字段。",
					"Send only the fields that the API's description lists.",
				},
			},
			"doubled": {detail: text{
				"字段“{field}”出现了不止一次。",
				"{field} is there more than once.",
			}},
			"type": {detail: text{
				"字段“{field}”的类型不对。",
				"{field} is of the wrong type.",
			}},
			"too_long": {detail: text{
				"字段“{field}”过长。",
				"{field} is too long.",
			}},
			"characters": {detail: text{
				"字段“{field}”含有不允许的字符（空格、换行或控制字符）。",
				"{field} holds characters that it must not: spaces, line breaks, control characters.",
			}},
			"past": {
				detail: text{"“{field}”是过去的时间。", "{field} is in the past."},
				remedy: text{
					"请填写将来的时间；已过期的令牌请先在平台上新建。",
					"Give a time to come; if the token has expired, create a new one.",
				},
			},
			"cursor": {
				detail: text{
					"“{field}”不是这个列表的游标。",
					"{field} is not a cursor of this list.",
				},
				remedy: text{
					"请从头开始列出，不带游标。",
					"List from the beginning, without a cursor.",
				},
			},
			"json": {
				detail: text{"请求体不是有效的 JSON 对象。", "The body is not a valid JSON object."},
				remedy: text{
					"请检查请求体的语法、编码（UTF-8）和嵌套层数。",
					"Check its syntax, its encoding (UTF-8) and how deep it is nested.",
				},
			},
		},
	},
	BodyTooLarge: {
		status: http.StatusRequestEntityTooLarge,
		title:  text{"请求体过大", "The request's body is too large"},
		detail: text{"请求体最多 {limit} 字节。", "A body holds at most {limit} bytes."},
		remedy: text{
			"只发送接口文档列出的字段。",
			"Send only the fields that the API's description lists.",
		},
	},
	MediaTypeUnknown: {
		status: http.StatusUnsupportedMediaType,
		title:  text{"不支持的内容类型", "The content type is not supported"},
		detail: text{"请求体必须是 JSON。", "The body must be JSON."},
		remedy: text{
			"请加上请求头 Content-Type: application/json。",
			"Send the header Content-Type: application/json.",
		},
	},
	RouteUnknown: {
		status: http.StatusNotFound,
		title:  text{"没有这个地址", "There is no such address"},
		detail: text{"这个地址不提供任何内容。", "Nothing is served at this address."},
		remedy: text{"请对照接口文档检查地址。", "Check the address against the API's description."},
	},
	MethodNotAllowed: {
		status: http.StatusMethodNotAllowed,
		title:  text{"不支持该方法", "The method is not allowed"},
		detail: text{"这个地址不支持 {method}。", "This address does not take {method}."},
		remedy: text{"可用的方法见 Allow 响应头。", "The reply's Allow header lists what it takes."},
	},
	NotSignedIn: {
		status: http.StatusUnauthorized,
		title:  text{"未登录", "You are not signed in"},
		detail: text{
			"请求没有携带有效的访问令牌。",
			"The request carries no valid access token.",
		},
		remedy: text{
			"请重新登录，并在 Authorization: Bearer 中携带访问令牌。",
			"Sign in again and send the access token in Authorization: Bearer.",
		},
		reasons: map[string]more{
			"expired": {detail: text{"登录已过期。", "The sign-in has expired."}},
			"no_account": {
				detail: text{
					"访问令牌没有说明所属账号。",
					"The access token names no account.",
				},
				remedy: text{
					"请联系管理员，在令牌中加入账号声明。",
					"Ask your administrator to put the account claim into the token.",
				},
			},
		},
	},
	ScopeMissing: {
		status: http.StatusForbidden,
		title:  text{"权限不足", "Your sign-in lacks a scope"},
		detail: text{"此操作需要权限范围 {scope}。", "This call needs the scope {scope}."},
		remedy: text{
			"请向管理员申请该权限范围后重新登录。",
			"Ask your administrator for that scope, then sign in again.",
		},
	},
	InstanceUnknown: {
		status: http.StatusNotFound,
		title:  text{"实例不存在", "There is no such instance"},
		detail: text{
			"您的账号下没有这个镜像仓库实例。",
			"Your account has no registry instance of this region and id.",
		},
		remedy: text{
			"请检查地域和实例 ID，或从实例列表中选择。",
			"Check region and id, or pick one from the list of instances.",
		},
	},
	PlatformUnknown: {
		status: http.StatusNotFound,
		title:  text{"平台不存在", "There is no such platform"},
		detail: text{
			"支持的平台：codeup、gitee、github、gitlab、bitbucket。",
			"The platforms are codeup, gitee, github, gitlab and bitbucket.",
		},
		remedy: text{"请使用其中之一。", "Use one of these."},
	},
	MethodMismatch: {
		status: http.StatusUnprocessableEntity,
		title:  text{"绑定方式不适用", "The platform is not bound this way"},
		detail: text{"{platform} 不能用这种方式绑定。", "{platform} can't be bound in this way."},
		remedy: text{
			"绑定方式见平台列表的 method 字段。",
			"The list of platforms gives each one's method.",
		},
		reasons: map[string]more{
			"oauth": {detail: text{
				"{platform} 通过 OAuth 授权绑定，不使用令牌。",
				"{platform} is bound by OAuth consent, not by a token.",
			}},
		},
	},
	NotBound: {
		status: http.StatusConflict,
		title:  text{"{platform} 尚未绑定", "{platform} is not bound"},
		detail: text{
			"这个实例没有绑定 {platform}。",
			"This instance is not bound to {platform}.",
		},
		remedy: text{"请先绑定。", "Bind it first."},
	},
	Conflict: {
		status: http.StatusConflict,
		title:  text{"绑定刚被其他人更改", "Somebody else has just changed the binding"},
		detail: text{
			"在您操作期间，此绑定被更改。您的操作没有生效。",
			"The binding was changed while you worked on it. Your change was not made.",
		},
		remedy: text{"请查看最新状态后重试。", "Look at its present state, then try again."},
	},
	PreconditionFailed: {
		status: http.StatusPreconditionFailed,
		title:  text{"绑定已被更改", "The binding has changed"},
		detail: text{
			"If-Match 与绑定当前的 ETag 不符，没有作任何更改。",
			"If-Match does not fit the binding's ETag. Nothing was changed.",
		},
		remedy: text{
			"请重新读取绑定，用它的 etag 再试。",
			"Read the binding again and use its etag.",
		},
	},
	TooManyCalls: {
		status: http.StatusTooManyRequests,
		title:  text{"操作过于频繁", "Too many calls"},
		detail: text{
			"您在一分钟内的调用次数超过了上限。",
			"You have made more calls within a minute than are allowed.",
		},
		remedy: text{
			"请等待 Retry-After 给出的秒数后再试。",
			"Wait for the seconds that Retry-After gives, then try again.",
		},
	},
	StorageUnavailable: {
		status: http.StatusServiceUnavailable,
		title:  text{"存储暂不可用", "The storage is not available"},
		detail: text{
			"Bindery 暂时无法读写它的存储。",
			"Bindery can't read or write its storage at the moment.",
		},
		remedy: text{
			"请稍后重试。若持续出现，请把请求 ID 告诉管理员。",
			"Try again soon. If it stays so, give the request id to your administrator.",
		},
	},
	SignInUnavailable: {
		status: http.StatusServiceUnavailable,
		title:  text{"暂时无法验证登录", "Your sign-in can't be verified now"},
		detail: text{
			"Bindery 暂时无法取得登录服务的公钥。",
			"Bindery can't fetch the sign-in service's keys at the moment.",
		},
		remedy: text{
			"请稍后重试。若持续出现，请联系管理员。",
			"Try again soon. If it stays so, tell your administrator.",
		},
	},
	InstancesUnknown: {
		status: http.StatusServiceUnavailable,
		title:  text{"暂时无法读取实例目录", "The list of instances can't be read"},
		detail: text{
			"Bindery 暂时无法读取镜像仓库实例目录。",
			"Bindery can't read the catalogue of registry instances at the moment.",
		},
		remedy: text{
			"请稍后重试。若持续出现，请联系管理员。",
			"Try again soon. If it stays so, tell your administrator.",
		},
	},
	Internal: {
		status: http.StatusInternalServerError,
		title:  text{"内部错误", "Something went wrong in Bindery"},
		detail: text{
			"Bindery 遇到了意料之外的错误。",
			"Bindery met an error that it did not expect.",
		},
		remedy: text{
			"请重试。若再次出现，请把请求 ID 告诉管理员。",
			"Try again. If it happens again, give the request id to your administrator.",
		},
	},

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
			"revoked_by_operator": {detail: text{
				"管理员撤销了 {platform} 的令牌。",
				"The operator revoked the tokens of {platform}.",
			}},
		},
	},

	PlatformNotConfigured: {
		status: http.StatusServiceUnavailable,
		title:  text{"{platform} 尚未配置", "{platform} is not set up"},
		detail: text{
			"管理员还没有为 {platform} 登记 OAuth 应用。",
			"The operator has registered no OAuth app for {platform} yet.",
		},
		remedy: text{
			"请管理员登记 OAuth 应用并写入 BINDERY_OAUTH_APPS 所指的配置。",
			"Ask your administrator to register one and put it where BINDERY_OAUTH_APPS points.",
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
			"完成授权的浏览器不是开始授权的浏览器。为了安全，没有绑定任何账号。",
			"Another browser than the one that began has ended this. For safety, nothing was bound.",
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
			"这个地址只接受浏览器的页面跳转，不接受脚本或内嵌页面的请求。",
			"This address takes a browser's own navigation, not a script's call or a frame.",
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
			"只支持 GitHub 个人账号，而这个账号的类型是 {type}。",
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
			"请管理员检查 OAuth 应用的 client id、client secret 和回调地址。",
			"Ask your administrator to check the app's client id, secret and callback address.",
		},
	},

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
