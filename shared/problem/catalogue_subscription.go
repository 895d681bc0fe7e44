package problem

import "net/http"

// Subscriptions and their webhooks.
const (
	SubscriptionUnknown Code = "subscription_unknown"
	WebhookUnknown      Code = "webhook_unknown"
	DeliveryUnknown     Code = "delivery_unknown"
	DeliveryIgnored     Code = "delivery_ignored"
	ReceiverMissing     Code = "receiver_missing"
	WebhooksForbidden   Code = "webhooks_forbidden"
	WebhooksFull        Code = "webhooks_full"
	MergesForbidden     Code = "merges_forbidden"
	RepositoryArchived  Code = "repository_archived"
	WebhookLost         Code = "webhook_lost"
	WebhookDisabled     Code = "webhook_disabled"
	SubscriptionHeld    Code = "subscription_held"
)

// subscriptions are what is wrong with a subscription.
func subscriptions() map[Code]entry {
	return map[Code]entry{
		SubscriptionUnknown: {
			status: http.StatusNotFound,
			title:  text{"没有订阅这个代码仓库", "The repository is not subscribed to"},
			detail: text{
				"这个绑定没有订阅该代码仓库的变更。",
				"This binding has no subscription to the repository's changes.",
			},
			remedy: text{
				"请先订阅该代码仓库。",
				"Subscribe to the repository first.",
			},
		},
		WebhookUnknown: {
			status: http.StatusNotFound,
			title:  text{"没有这个 Webhook", "There is no such webhook"},
			detail: text{
				"该地址现在没有接收投递的订阅，或者这次投递的签名或令牌缺失、错误或过旧。",
				"No subscription takes deliveries at this address now, or the delivery's signature or " +
					"token is missing, wrong or too old.",
			},
			remedy: text{
				"如果仍需接收变更，请在 Bindery 中立即同步该代码仓库的订阅，Webhook 会一并修复；否则请在平台上删除这个 Webhook。",
				"If the changes are still wanted, sync the repository's subscription in Bindery, which " +
					"repairs the webhook; otherwise delete the webhook at the platform.",
			},
		},
		DeliveryUnknown: {
			status: http.StatusNotFound,
			title:  text{"没有这个事件", "There is no such event"},
			detail: text{
				"该订阅没有这个事件，或事件过旧，已不再保留。",
				"The subscription has no such event, or it is too old and no longer kept.",
			},
			remedy: text{
				"请重新列出事件并选择其中一个；也可以立即同步，补发遗漏的变更。",
				"List the events again and choose one of them; or sync now, which makes up for " +
					"changes that were missed.",
			},
		},
		DeliveryIgnored: {
			status: http.StatusConflict,
			title:  text{"被忽略的事件不能重新发送", "An ignored event can't be replayed"},
			detail: text{
				"这个事件没有发送给接收方，也不会发送。",
				"The event was not for the receiver, and was never sent to it.",
			},
			remedy: text{
				"无需处理。如果怀疑有遗漏的变更，请立即同步。",
				"Nothing needs to be done. If changes seem to be missing, sync now.",
			},
			reasons: map[string]more{
				"kind": {
					detail: text{
						"该订阅不包含这类事件。",
						"The subscription doesn't ask for events of this kind.",
					},
					remedy: text{
						"如需这类事件，请在订阅中加上；之后的变更会发送。",
						"To get such events, add the kind to the subscription: changes from then on are sent.",
					},
				},
				"branch": {
					detail: text{
						"该订阅的模式不匹配这个分支。",
						"No pattern of the subscription matches the branch.",
					},
					remedy: text{
						"如需该分支的事件，请在订阅中加上；之后的变更会发送。",
						"To get events of the branch, add it to the subscription: changes from then on are " +
							"sent.",
					},
				},
				"test": {detail: text{
					"这是平台的测试请求，不代表任何变更。",
					"It is a test of the platform and tells of no change.",
				}},
				"superseded": {detail: text{
					"该引用已指向别处，接收方已收到更新的事件。",
					"The ref has moved on, and the receiver was told of what it is now.",
				}},
				"unconfirmed": {detail: text{
					"这个请求没有签名，而平台的说法与之不同。",
					"Its delivery was not signed, and the platform says otherwise.",
				}},
			},
		},
		ReceiverMissing: {
			status: http.StatusConflict,
			title:  text{"没有事件的接收地址", "Events have no receiver"},
			detail: text{
				"管理员还没有设置接收事件的地址，因此无法订阅。",
				"Your administrator has set no address that receives events, so there are no subscriptions.",
			},
			remedy: text{
				"请联系管理员设置接收地址。",
				"Ask your administrator to set it.",
			},
		},
		WebhooksForbidden: {
			status: http.StatusForbidden,
			title:  text{"无权管理该代码仓库的 Webhook", "The repository's webhooks may not be managed"},
			detail: text{
				"已绑定的用户不能在 {platform} 上管理该代码仓库的 Webhook。",
				"The bound user may not manage the repository's webhooks on {platform}.",
			},
			remedy: text{
				"请在平台上授予该用户仓库管理员权限，或绑定一个有此权限的用户；如果仓库已归档，请取消归档。" +
					"然后重新订阅；若已有订阅，请立即同步。",
				"Make the user an administrator of the repository on the platform, or bind a user who " +
					"is one; if the repository is archived, unarchive it. Then subscribe again or, if " +
					"there is a subscription, sync now.",
			},
			reasons: map[string]more{
				"scope": {
					detail: text{
						"{platform} 不允许用该令牌管理 Webhook：令牌缺少权限 {missing}，或用户不是仓库管理员。",
						"{platform} lets the token manage no webhooks: it lacks the permission {missing}, or " +
							"its user is no administrator of the repository.",
					},
					remedy: text{
						"请使用带有该权限的令牌重新绑定；如果令牌已有该权限，请在平台上授予该用户仓库管理员权限。" +
							"然后重新订阅；若已有订阅，请立即同步。",
						"Bind again with a token that has the permission; if it has, make the user an " +
							"administrator of the repository on the platform. Then subscribe again or, if " +
							"there is a subscription, sync now.",
					},
				},
				"address": {
					detail: text{
						"{platform} 拒绝了 Bindery 的公网地址：它不允许 Webhook 请求该地址，例如本地网络地址。",
						"{platform} refuses Bindery's public address: it lets no webhook send to it, as to an " +
							"address of the local network.",
					},
					remedy: text{
						"请 {platform} 的管理员在出站请求设置中允许 Webhook 请求该地址，然后重新订阅；" +
							"若已有订阅，请立即同步。",
						"Ask {platform}'s administrator to allow webhooks to send to the address, in the " +
							"settings of outbound requests. Then subscribe again or, if there is a " +
							"subscription, sync now.",
					},
				},
			},
		},
		MergesForbidden: {
			status: http.StatusForbidden,
			title:  text{"无权读取合并请求", "Merge requests may not be read"},
			detail: text{
				"已绑定的用户不能在 {platform} 上读取该代码仓库的合并请求，因此合并请求的事件不会转发。推送和标签不受影响。",
				"The bound user may not read the repository's merge requests on {platform}, so nothing of " +
					"them is forwarded. Pushes and tags are.",
			},
			remedy: text{
				"请在平台上授予该用户读取合并请求的权限，或绑定一个有此权限的用户，然后立即同步；或取消订阅合并请求。",
				"Let the user read merge requests on the platform, or bind a user who may, and then sync " +
					"now; or subscribe without merge requests.",
			},
			reasons: map[string]more{
				"scope": {
					detail: text{
						"令牌缺少在 {platform} 上读取合并请求的权限：{missing}。因此合并请求的事件不会转发。推送和标签不受影响。",
						"The token lacks the permission to read merge requests on {platform}, {missing}, so " +
							"nothing of them is forwarded. Pushes and tags are.",
					},
					remedy: text{
						"请使用带有该权限的令牌重新绑定，然后立即同步；或取消订阅合并请求。",
						"Bind again with a token that has the permission, and then sync now; or subscribe " +
							"without merge requests.",
					},
				},
			},
		},
		WebhooksFull: {
			status: http.StatusConflict,
			title:  text{"该代码仓库的 Webhook 已满", "The repository has no room for a webhook"},
			detail: text{
				"{platform} 限制了每个代码仓库的 Webhook 数量，该代码仓库已达到上限。",
				"{platform} limits the webhooks of a repository, and this one has as many as it allows.",
			},
			remedy: text{
				"请在平台上删除该代码仓库不再使用的 Webhook，然后重试。",
				"Delete webhooks that are no longer used from the repository on the platform, and try again.",
			},
		},
		RepositoryArchived: {
			status: http.StatusConflict,
			title:  text{"该代码仓库已归档", "The repository is archived"},
			detail: text{
				"{platform} 上的该代码仓库已归档，是只读的，不会再有变更。",
				"The repository is archived on {platform}: it is read-only and doesn't change.",
			},
			remedy: text{
				"请在平台上取消归档，然后重试。",
				"Unarchive it on the platform, and try again.",
			},
		},
		WebhookLost: {
			status: http.StatusConflict,
			title:  text{"Webhook 已被删除", "The webhook was deleted"},
			detail: text{
				"{platform} 上不再有该订阅的 Webhook，且未能重新创建。",
				"{platform} no longer has the subscription's webhook, and it could not be made again.",
			},
			remedy: text{
				"请立即同步。",
				"Sync now.",
			},
		},
		WebhookDisabled: {
			status: http.StatusConflict,
			title:  text{"Webhook 已被停用", "The webhook is disabled"},
			detail: text{
				"{platform} 停用了该订阅的 Webhook，且未能恢复。",
				"{platform} has disabled the subscription's webhook, and it could not be revived.",
			},
			remedy: text{
				"请确认平台能访问 Bindery 的公网地址，然后立即同步。",
				"See that the platform can reach Bindery's public address, and then sync now.",
			},
		},
		SubscriptionHeld: {
			status: http.StatusConflict,
			title:  text{"订阅等待核对", "The subscription waits for a sync"},
			detail: text{
				"绑定已换成 {platform} 上的另一个用户。在一次同步确认该用户可以管理该代码仓库的 Webhook 之前，" +
					"不接收新的变更；同步会补发其间遗漏的变更。",
				"The instance was bound again, to another user on {platform}. Until a sync has found that " +
					"this user may manage the repository's webhooks, changes are not taken; the sync makes " +
					"up for them.",
			},
			remedy: text{
				"通常一分钟内会自动同步；也可以立即同步。",
				"It is synced by itself, as a rule within a minute; or sync now.",
			},
		},
	}
}
