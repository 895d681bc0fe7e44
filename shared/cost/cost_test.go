package main

import (
	"bytes"
	"math"
	"os"
	"testing"
)

func TestAMonthIsTheSumOfItsCountedCalls(t *testing.T) {
	for _, test := range []struct {
		cloud cloud
		part  string
		n     float64
		want  float64 // computed by hand
	}{
		{aws(awsPrices), "secrets", 10_000, 4000},
		{aws(awsPrices), "calls to Secrets Manager", 10_000, 4.5},
		{aws(awsPrices), "table: reads", 1_000_000, 15.25 + 0.01224},
		{aws(awsPrices), "table: writes", 1_000_000, 150 + 0.0576},
		{aws(awsPrices), "table: storage", 1_000_000, 0.5},
		{aws(awsPrices), "requests to the API and the functions", 1_000_000, 74.4 + 0.009216},
		{aws(awsPrices), "time of the functions", 1_000_000, 70.00035},
		{aws(awsPrices), "logs", 1_000_000, 46},
		{aws(awsPrices), "alarms and metrics", 1_000_000, 14.1},
		{awsSealed(awsPrices), "key", 1_000_000, 1},
		{awsSealed(awsPrices), "calls to KMS", 10_000, 2.7},
		{awsSealed(awsPrices), "sealed tokens", 1_000_000, 11.25 + 0.75},
		{awsSealed(awsPrices), "table: writes", 1_000_000, 150 + 0.0576},
		{alibabaSealed(alibabaPrices), "calls to KMS", 10_000, 7.65},
		{alibabaSealed(alibabaPrices), "table: writes", 1_000_000, 50.4 + 0.0258048},
		{alibaba(alibabaPrices), "secrets, with the KMS instances", 100, 135.9 + 15 + 39},
		{alibaba(alibabaPrices), "secrets, with the KMS instances", 100_001, 271.8 + 300 + 39_000.39},
		{alibaba(alibabaPrices), "table: writes", 1_000_000, 50.4 + 0.0258048},
		{alibaba(alibabaPrices), "time of the functions", 1_000_000, 87.75},
	} {
		found := false
		for _, p := range test.cloud.parts {
			if p.name != test.part {
				continue
			}
			found = true
			if got := p.cost(test.n); math.Abs(got-test.want) > 1e-6 {
				t.Errorf("%s, %s of %v: got %v, want %v", test.cloud.name, p.name, test.n, got, test.want)
			}
		}
		if !found {
			t.Errorf("%s has no part %s", test.cloud.name, test.part)
		}
	}
}

func TestTheTotalHasEveryPart(t *testing.T) {
	for _, c := range bills() {
		sum := 0.0
		for _, p := range c.parts {
			sum += p.cost(1000)
		}
		if got := c.total(1000); math.Abs(got-sum) > 1e-9 {
			t.Errorf("%s: got %v, want %v", c.name, got, sum)
		}
	}
}

func TestAHundredThousandBindingsCostLessThanAHundredDollarsWithTheEnvelopeVault(t *testing.T) {
	for _, c := range []cloud{awsSealed(awsPrices), alibabaSealed(alibabaPrices)} {
		if got := c.total(100_000); got >= 100 {
			t.Errorf("%s: $%.2f a month", c.name, got)
		}
	}
}

func TestNumbersAreGrouped(t *testing.T) {
	for n, want := range map[float64]string{
		0: "$0.00", 9.994: "$9.99", 10.4: "$10", 1000: "$1,000", 1_234_567.8: "$1,234,568",
	} {
		if got := dollars(n); got != want {
			t.Errorf("%v: got %s, want %s", n, got, want)
		}
	}
}

func TestTheDocumentIsWhatTheProgramPrints(t *testing.T) {
	var want bytes.Buffer
	write(&want)
	got, err := os.ReadFile("../../docs/cost.md")
	if err != nil || string(got) != want.String() {
		t.Errorf("docs/cost.md is out of date (%v): go run ./shared/cost >docs/cost.md", err)
	}
}
