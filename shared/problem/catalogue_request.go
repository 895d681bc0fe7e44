package problem

import "net/http"

// requests are what is wrong with a request, and with Bindery itself.
func requests() map[Code]entry {
	return map[Code]entry{
		InputMalformed: {
			status: http.StatusBadRequest,
			title:  text{"输入有误", "The input is not valid"},
			detail: text{"“{field}”无效。", "The value of {field} is not valid."},
			remedy: text{"请改正后重试。", "Correct it and try again."},
			reasons: map[string]more{
				"required": {detail: text{"缺少“{field}”。", "This is missing: {field}."}},
				"unknown": {
					detail: text{"没有“{field}”这一项。", "There is no field {field}."},
					remedy: text{
						"只发送接口文档列出的字段。",
						"Send only the fields that the API's description lists.",
					},
				},
				"doubled": {detail: text{
					"“{field}”或其中的某个值出现了不止一次。",
					"This, or a value in it, is there more than once: {field}.",
				}},
				"empty": {detail: text{
					"“{field}”是空的，可用的值为：{allowed}。",
					"There must be at least one of these in {field}: {allowed}.",
				}},
				"value": {detail: text{
					"“{field}”中有不允许的值，可用的值为：{allowed}。",
					"{field} has a value that is none of these: {allowed}.",
				}},
				"branch": {
					detail: text{
						"“{field}”中有不可能匹配任何分支的模式：git 不允许这样的分支名。",
						"A pattern can match no branch, because git allows no such name: see {field}.",
					},
					remedy: text{
						"请像 git 那样写分支名，例如 main；* 代表除 / 以外的任意字符，** 代表任意字符。",
						"Write names as git does, such as main; * stands for any characters but /, and " +
							"** for any.",
					},
				},
				"ref": {
					detail: text{
						"“{field}”中有以 refs/、heads/ 或 tags/ 开头的引用名。",
						"A pattern begins as a ref does, with refs/, heads/ or tags/: see {field}.",
					},
					remedy: text{
						"请只写分支名，例如用 main 代替 refs/heads/main；标签不按模式筛选。",
						"Write only the branch, such as main in place of refs/heads/main. Tags are not " +
							"chosen by patterns.",
					},
				},
				"type": {detail: text{
					"“{field}”的类型不对。",
					"This is of the wrong type: {field}.",
				}},
				"too_many": {detail: text{
					"“{field}”最多可有 {limit} 项。",
					"There are more than {limit} entries in {field}.",
				}},
				"pattern_too_long": {detail: text{
					"“{field}”中有超过 {limit} 字节的模式。",
					"A pattern is longer than {limit} bytes: see {field}.",
				}},
				"too_long": {detail: text{
					"“{field}”过长。",
					"This is too long: {field}.",
				}},
				"characters": {
					detail: text{
						"“{field}”含有不允许的字符。",
						"A character is not allowed in {field}.",
					},
					remedy: text{
						"请去掉空格和换行；令牌中不能有全角字符，用户名中不能有冒号。",
						"Leave out spaces and line breaks; a token has only ASCII characters, and a user " +
							"name no colon.",
					},
				},
				"encoding": {
					detail: text{
						"“{field}”中“~”之后的部分不是不带填充的 base64url。",
						"{field} has something other than base64url without padding after its ~.",
					},
				},
				"past": {
					detail: text{"“{field}”是过去的时间。", "A time in the past: {field}."},
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
				"host": {
					detail: text{
						"“{field}”不是 {platform} 上代码仓库的 https 地址。",
						"{field} is not the https address of a repository on {platform}.",
					},
					remedy: text{
						"请使用该代码仓库所在平台的绑定，并给出不含用户名的克隆地址。",
						"Use the binding of the platform that has the repository, and give its clone " +
							"address without a user name.",
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
			reasons: map[string]more{
				"compressed": {
					detail: text{"请求体不得压缩。", "The body must not be compressed."},
					remedy: text{
						"请去掉 Content-Encoding，发送未压缩的请求体。",
						"Send the body as it is, without Content-Encoding.",
					},
				},
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
				"登录没有被接受，可能已经过期。",
				"Your sign-in was not accepted. It may have expired.",
			},
			remedy: text{
				"请重新登录。",
				"Sign in again.",
			},
			reasons: map[string]more{
				"expired": {detail: text{"登录已过期。", "The sign-in has expired."}},
				"no_account": {
					detail: text{
						"登录没有说明您所属的账号。",
						"Your sign-in names no account.",
					},
					remedy: text{
						"请管理员在登录服务中为访问令牌加入账号。",
						"Ask your administrator to have the sign-in service put the account into its tokens.",
					},
				},
			},
		},
		ScopeMissing: {
			status: http.StatusForbidden,
			title:  text{"权限不足", "Your sign-in may not do this"},
			detail: text{"您的登录没有此权限：{scope}。", "Your sign-in lacks the permission to {scope}."},
			remedy: text{
				"请向管理员申请该权限，然后重新登录。",
				"Ask your administrator for it, then sign in again.",
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
				"Check its region and id, or choose one from the list of instances.",
			},
		},
		PlatformUnknown: {
			status: http.StatusNotFound,
			title:  text{"平台不存在", "There is no such platform"},
			detail: text{
				"支持的平台：Codeup、Gitee、GitHub、GitLab、Bitbucket。",
				"The platforms are Codeup, Gitee, GitHub, GitLab and Bitbucket.",
			},
			remedy: text{"请使用其中之一。", "Use one of these."},
		},
		MethodMismatch: {
			status: http.StatusUnprocessableEntity,
			title:  text{"绑定方式不适用", "The platform is not bound this way"},
			detail: text{"{platform} 不能用这种方式绑定。", "{platform} can't be bound in this way."},
			remedy: text{
				"请按平台列表中的方式绑定。",
				"Bind it in the way that the list of platforms gives.",
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
			reasons: map[string]more{
				"cleanup_pending": {
					detail: text{
						"此绑定在短时间内更换过太多次令牌，之前的令牌仍在清理中。您的操作没有生效。",
						"The binding's token was replaced too often in a short time, and the earlier ones " +
							"are still being cleaned up. Your change was not made.",
					},
					remedy: text{"请过几分钟再试。", "Try again in some minutes."},
				},
			},
		},
		PreconditionFailed: {
			status: http.StatusPreconditionFailed,
			title:  text{"绑定已被更改", "The binding has changed"},
			detail: text{
				"绑定在您读取之后被更改。您的操作没有生效。",
				"The binding was changed after you had read it. Your change was not made.",
			},
			remedy: text{
				"请重新读取绑定，核对之后再试。",
				"Read the binding again, and try again if you still want the change.",
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
				"请稍等片刻再试。",
				"Wait a moment, then try again.",
			},
		},
		Overloaded: {
			status: http.StatusServiceUnavailable,
			title:  text{"暂时繁忙", "Bindery is busy"},
			detail: text{
				"当前请求过多，没有空余的资源处理此次调用。什么都没有改变。",
				"There is no capacity left for this call at the moment. Nothing was changed.",
			},
			remedy: text{
				"请稍等片刻再试。",
				"Wait a moment, then try again.",
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
		TokenMismatch: {
			status: http.StatusInternalServerError,
			title:  text{"令牌不属于此绑定", "The stored token belongs elsewhere"},
			detail: text{
				"存储中此绑定指向的令牌不属于它，Bindery 没有使用该令牌。令牌未被更改。",
				"In Bindery's storage this binding names a token that is not its own. " +
					"Bindery did not use that token and left it as it is.",
			},
			remedy: text{
				"请把请求 ID 告诉管理员：可能有人篡改了存储。管理员确认后，请重新绑定。",
				"Give the request id to your administrator: the storage may have been tampered with. " +
					"Bind again when your administrator tells you to.",
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
	}
}
