package secretsmanager_test

import (
	"testing"

	"bindery/shared/vault/secretsmanager/smtest"
	"bindery/shared/vault/vaulttest"
)

func TestD1_NoErrorShowsAValue(t *testing.T) {
	vaulttest.HidesValues(t, remote, map[string]smtest.Fault{
		"quoting": smtest.Quoting, "garbled": smtest.Garbled, "throttled": smtest.Throttled,
		"broken": smtest.Broken, "lost": smtest.Lost, "denied": smtest.Denied,
	})
}

func TestD1_NoErrorAboutTheOAuthAppsShowsThem(t *testing.T) {
	vaulttest.HidesTheApps(t, remote(t), smtest.Garbled, smtest.Quoting, smtest.Lost)
}

func TestErrorsTellTheOperatorWhatIsWrong(t *testing.T) {
	vaulttest.NamesTheFailure(t, remote, map[smtest.Fault]string{
		smtest.Denied:    "Secrets Manager answered AccessDeniedException: User: arn:aws:sts::",
		smtest.Throttled: "Secrets Manager answered ThrottlingException (request ",
		smtest.Quoting:   "Secrets Manager answered InvalidParameterException (request ",
		smtest.Garbled:   "Secrets Manager's reply can't be read (request ",
		smtest.Lost:      "EOF",
	})
}
