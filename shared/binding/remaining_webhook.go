package binding

// RemainingWebhook is a webhook that could not be removed when its subscription ended. Its
// deliveries are refused; its user can remove it by hand.
type RemainingWebhook struct {
	Repository SubscribedRepository
	// WebhooksURL is the platform's page where a user manages the repository's webhooks.
	WebhooksURL string
}
