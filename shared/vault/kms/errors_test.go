package kms_test

import (
	"testing"

	"bindery/shared/vault/kms/kmstest"
	"bindery/shared/vault/vaulttest"
)

func TestD1_NoErrorOfKMSShowsAValue(t *testing.T) {
	vaulttest.HidesValues(t, remote, map[string]kmstest.Fault{
		"quoting": kmstest.Quoting, "garbled": kmstest.Garbled, "throttled": kmstest.Throttled,
		"broken": kmstest.Broken, "lost": kmstest.Lost, "denied": kmstest.Denied,
		"a page": kmstest.Page, "redirected": kmstest.Redirected, "expired": kmstest.Expired,
	})
}

func TestD1_NoErrorAboutTheOAuthAppsInKMSShowsThem(t *testing.T) {
	vaulttest.HidesTheApps(t, remote(t), kmstest.Garbled, kmstest.Page, kmstest.Lost)
}

func TestErrorsTellTheOperatorWhatIsWrong(t *testing.T) {
	vaulttest.NamesTheFailure(t, remote, map[kmstest.Fault]string{
		kmstest.Denied:    "KMS answered Forbidden.NoPermission: the function's role lacks",
		kmstest.Throttled: "KMS answered Rejected.Throttling (request 0",
		kmstest.Quoting:   "KMS answered InvalidParameter (request 0",
		kmstest.Garbled:   "the reply of KMS can't be read",
		kmstest.Lost:      "asking KMS: EOF",
	})
}
