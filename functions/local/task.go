package main

import (
	"encoding/json"
	"io"
	"net/http"

	"bindery/shared/api"
)

// task runs a task at once, as an operator invokes the function in the cloud. It accepts only JSON,
// which a web page of another origin can't send without a CORS preflight; [onlySameOrigin] refuses
// such a page too.
func task(a *api.API) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "send JSON: Content-Type: application/json",
				http.StatusUnsupportedMediaType)
			return
		}
		input, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<10))
		if err != nil {
			http.Error(w, "the task is too long", http.StatusRequestEntityTooLarge)
			return
		}
		result, err := a.Task(r.Context(), input)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(result)
	}
}
