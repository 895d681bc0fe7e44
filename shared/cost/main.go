// Cost prints what a month of Bindery costs on each cloud, by part, as docs/cost.md. The prices are
// in prices.go: replace them with your own.
package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

func main() { write(os.Stdout) }

// sizes are the numbers of bindings that the tables show.
var sizes = []float64{100, 10_000, 100_000, 1_000_000}

// write writes the document.
func write(w io.Writer) {
	fmt.Fprintf(w, `# What a month costs

Printed by `+"`go run ./shared/cost >docs/cost.md`"+`. Prices are in US dollars, and **were not
compared with a bill**: put your own into [prices.go](../shared/cost/prices.go). A NAT gateway,
traffic, backups and free allowances are not included, nor are the versions of a key that KMS of AWS
rotates itself, at $1 a month each.

A binding is checked once a day, and %d credentials a month are read of it. The calls that a check
and a credential make are counted by tests:
[check_cost_test.go](../shared/binding/check_cost_test.go)
(one read and two writes, however many bindings the table has),
[credential_test.go](../shared/binding/credential_test.go), and design.md, "Refresh on demand" (one
call to the table and one to the vault). The check runs each quarter of an hour and the run over
subscriptions each minute; each reads the parts of its index and makes two writes for its lease
([overlap_test.go](../shared/api/overlap_test.go)). How long a function runs (%v s a credential,
%v s a check), the length of a log line (%d bytes), of a row with its index entries (%d bytes) and
of a sealed token (%d bytes) are assumed. Refreshes are not counted. With the envelope vault
(design.md, "The envelope vault") each of those calls to the vault is one to the table of sealed
tokens, and at most one to the key service.
`, credentials, credentialTime, checkTime, lineLength, rowLength, sealedLength)
	for _, c := range bills() {
		c.write(w)
	}
}

// bills are those of both clouds, with each vault.
func bills() []cloud {
	return []cloud{
		aws(awsPrices), awsSealed(awsPrices), alibaba(alibabaPrices), alibabaSealed(alibabaPrices),
	}
}

func (c cloud) write(w io.Writer) {
	fmt.Fprintf(w, "\n## %s\n", c.name)
	if c.prices != nil {
		fmt.Fprint(w, "\n| price | $ | source |\n| --- | --- | --- |\n")
	}
	for _, p := range c.prices {
		fmt.Fprintf(w, "| %s | %s | %s |\n", p.of, strconv.FormatFloat(p.dollars, 'f', -1, 64), p.source)
	}
	fmt.Fprint(w, "\n| part |")
	for _, n := range sizes {
		fmt.Fprintf(w, " %s bindings |", grouped(n))
	}
	fmt.Fprintf(w, "\n| --- |%s\n", strings.Repeat(" --- |", len(sizes)))
	for _, p := range c.parts {
		row(w, p.name, p.cost)
	}
	row(w, "**all**", c.total)
	if c.prices != nil {
		row(w, "all but secrets", func(n float64) float64 { return c.total(n) - c.parts[0].cost(n) })
	}
}

func row(w io.Writer, name string, cost func(bindings float64) float64) {
	fmt.Fprintf(w, "| %s |", name)
	for _, n := range sizes {
		fmt.Fprintf(w, " %s |", dollars(cost(n)))
	}
	fmt.Fprintln(w)
}

// dollars formats a price with cents only where they matter.
func dollars(d float64) string {
	if d < 10 {
		return fmt.Sprintf("$%.2f", d)
	}
	return "$" + grouped(d)
}

// grouped returns n rounded, with a comma between groups of three digits.
func grouped(n float64) string {
	digits := fmt.Sprint(int64(math.Round(n)))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
