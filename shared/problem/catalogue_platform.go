package problem

import "net/http"

// platforms are what platforms answer, and how they are reached.
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
				"请填写公网可访问的地址。若是内网 GitLab，请管理员允许 Bindery 访问它。",
				"Enter a public address. For a private GitLab, " +
					"ask your administrator to let Bindery reach it.",
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
				"international": {
					detail: text{
						"主机名含有非 ASCII 字符，它的 ASCII 形式是 {host}。",
						"The host name is not ASCII. Its ASCII form is {host}.",
					},
					remedy: text{
						"请确认这是您要访问的站点，然后填写 {host}。",
						"Make sure that this is the site you mean, then enter {host} in its place.",
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
				"HTTPS works only on port 443; HTTP on " +
					"80, 21, 443, 70, 210, 280, 488, 591, 777 and 1025 to 65535.",
			},
			remedy: text{
				"请改用允许的端口；HTTPS 站点使用其他端口时，请另外提供 HTTP。",
				"Use one of these ports. A site whose HTTPS has another port can offer HTTP too.",
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
				"incomplete_chain": {
					detail: text{
						"站点没有发送中间证书，因此无法验证它的 TLS 证书；也可能该证书由私有 CA 签发。",
						"The site doesn't send the intermediate certificates that its TLS certificate " +
							"needs, or a private authority issued it.",
					},
					remedy: text{
						"请站点管理员在服务器上安装完整的证书链（通常是 fullchain.pem）。浏览器会自行补全，因此不会提示。",
						"Ask the site's administrator to install the full chain, often fullchain.pem. " +
							"Browsers fetch missing certificates themselves and don't complain.",
					},
				},
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
				"请稍后重试。若持续出现，请管理员检查 Bindery 能否访问 {platform}。",
				"Try again soon. If it stays so, ask your administrator " +
					"whether Bindery can reach {platform}.",
			},
			typedRemedy: text{
				"请检查地址，并确认站点可从公网访问、没有防火墙阻挡，然后重试。" +
					"若是内网 GitLab，请管理员允许 Bindery 访问它。",
				"Check the address and that the site can be reached from the internet, " +
					"not behind a firewall. Then try again. For a private GitLab, " +
					"ask your administrator to let Bindery reach it.",
			},
			reasons: map[string]more{
				"proxy": {
					detail: text{
						"出口代理拒绝了到 {platform} 的连接。",
						"The egress proxy refused the connection to {platform}.",
					},
					remedy: text{
						"请管理员在出口代理上放行 {platform}，并检查代理的凭据。",
						"Ask your administrator to let {platform} through the egress proxy, " +
							"and to check the proxy's credentials.",
					},
				},
				"dns": {detail: text{
					"找不到站点的主机名，或它没有公网地址。",
					"The site's host name is not found, or has no public address.",
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
				"请稍后重试。若持续出现，请告诉管理员。",
				"Try again soon. If it stays so, tell your administrator.",
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
						"请填写 {platform} 的登录地址（若安装在子路径下，请包含子路径）。若地址正确，说明单点登录或防火墙" +
							"在 {platform} 之前作了响应：请管理员允许 Bindery 的出口 IP 直接访问 {platform} 的接口。",
						"Enter the address where you sign in to {platform}, with its sub-path if it has one. If it " +
							"is right, single sign-on or a firewall answers before {platform}: ask its " +
							"administrator to let Bindery's address through to its API.",
					},
				},
				"redirect": {detail: text{
					"同一站点要求跳转到另一个地址（例如 https 或子路径）。携带令牌的请求不会跟随跳转。",
					"The site redirects to another address of its own, such as https or a sub-path. " +
						"A call that carries a token follows none.",
				}, remedy: text{
					"请在浏览器中打开该地址，并填写同一主机的最终地址，包括 https 和子路径。",
					"Open the address in a browser and enter the one of the same host that it ends at, " +
						"with https and its sub-path.",
				}},
				"not_the_api": {
					detail: text{
						"响应不是来自 {platform} 的接口：前面的单点登录、防火墙或代理，或者另一个站点作了响应。" +
							"令牌未受影响。",
						"The reply is not from {platform}'s API: single sign-on, a firewall or a proxy in " +
							"front of it answered, or another site. It says nothing about the token.",
					},
					remedy: text{
						"请检查地址和子路径。若地址正确，说明单点登录、防火墙或代理在 {platform} 之前作了响应：" +
							"请管理员允许 Bindery 的出口 IP 直接访问 {platform} 的接口。",
						"Check the address and its sub-path. If it is right, single sign-on, a firewall or a " +
							"proxy answers before {platform}: ask its administrator to let Bindery's address " +
							"through to its API.",
					},
				},
				"intercepted": {
					detail: text{
						"响应不是来自 {platform} 的接口，而是来自途中的网关、防火墙或代理。令牌未受影响。",
						"The reply is not from {platform}'s API, but from a gateway, a firewall or a proxy " +
							"on the way. It says nothing about the token.",
					},
					remedy: text{
						"请稍后重试。若持续出现，请管理员检查出口代理和防火墙是否放行 {platform} 的接口。",
						"Try again soon. If it stays so, ask your administrator whether the egress proxy and " +
							"the firewall let calls through to {platform}'s API.",
					},
				},
				"refused": {
					detail: text{
						"{platform} 以错误代码 {code} 拒绝了请求。",
						"{platform} refused the request with the error {code}.",
					},
					remedy: text{
						"请重试。若持续出现，请把这个错误代码告诉管理员。",
						"Try again. If it stays so, give this error to your administrator.",
					},
				},
				"busy": {
					detail: text{
						"{platform} 表示它暂时无法完成授权。",
						"{platform} says that it can't complete the consent at the moment.",
					},
					remedy: text{"请稍后重新开始绑定。", "Start again in a few minutes."},
				},
				"user_agent": {
					detail: text{
						"请求被拒绝且没有错误代码：可能被防火墙拦截，也可能在途中被代理改动。",
						"The call was refused without an error code: a firewall blocks it, " +
							"or a proxy changed it on the way.",
					},
					remedy: text{
						"请管理员检查防火墙是否放行 Bindery 到 {platform} 的请求，以及出口代理是否删除了 User-Agent。",
						"Ask your administrator whether a firewall lets Bindery's calls to {platform} through, " +
							"and whether the egress proxy drops User-Agent.",
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
				"请稍等片刻再试。",
				"Wait a moment, then try again.",
			},
		},
	}
}
