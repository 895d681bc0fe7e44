package api

import (
	"context"
	"net/http"
	"strings"

	"bindery/shared/binding/delivery"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// webhooksPath begins the path of every webhook.
const webhooksPath = "/v1/hooks/"

// Delivery adds the route of the webhooks, which the platforms call. A delivery is authentic or not
// by its webhook's secret; there is no sign-in.
func Delivery(a *API, mux *http.ServeMux) {
	mux.HandleFunc("POST "+webhooksPath+"{platform}/{id}", a.receive)
}

// toWebhook reports whether a request is one to a webhook.
func toWebhook(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, webhooksPath) }

// receive replies with {} to a delivery that is stored, and alike to every one that is not
// authentic: a caller who guesses ids learns nothing.
func (a *API) receive(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	in, err := a.readDelivery(w, r)
	if err == nil {
		err = a.deliveries.Receive(ctx, in)
	}
	if problem.Is(err, problem.SubscriptionUnknown) { // its reader administers the platform
		err = problem.New(problem.WebhookUnknown)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	problem.WriteJSON(w, http.StatusOK, "application/json", struct{}{})
}

// readDelivery reads a delivery. It makes no call to the table. It limits nothing: a caller
// who knows a webhook's address could use up what its platform may send.
func (a *API) readDelivery(
	w http.ResponseWriter, r *http.Request,
) (in delivery.ReceiveRequest, err error) {
	platform, id := r.PathValue("platform"), r.PathValue("id")
	if _, ok := a.known.Get(platform); !ok || !isSubscriptionID(id) {
		return in, problem.New(problem.SubscriptionUnknown)
	}
	body, err := readBody(w, r, provider.MaxDelivery)
	return delivery.ReceiveRequest{
		Platform: platform, ID: id, Header: r.Header, Body: body,
	}, err
}

// isSubscriptionID reports whether an id is 128 bits in hex, as a subscription's is.
func isSubscriptionID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}
