package ledger

import (
	"encoding/json"

	"bindery/shared/binding"
	"bindery/shared/secret"
)

// OwnerLabel returns whose a value of the vault is, in a form that may be stored in clear: the
// account and the binding that the value names, as far as it names them.
func OwnerLabel(value secret.Text) string {
	var fields map[string]string
	if json.Unmarshal([]byte(value.Reveal()), &fields) != nil {
		return ""
	}
	return binding.Join(
		fields[fieldAccount], fields[fieldRegion], fields[fieldInstance], fields[fieldPlatform])
}
