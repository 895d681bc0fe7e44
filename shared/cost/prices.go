package main

// price is a list price in US dollars, or in CUs where it says so.
type price struct {
	of      string
	dollars float64
	source  string
}

type prices []price

// of returns a price by its name. A name without a price is a fault of the program.
func (p prices) of(name string) float64 {
	for _, one := range p {
		if one.of == name {
			return one.dollars
		}
	}
	panic("there is no price of " + name)
}

const (
	memory     = "from memory, November 2026; please check"
	vendor2024 = "the vendor's page, 2024"
)

// awsPrices are of us-east-1.
var awsPrices = prices{
	{"secret, a month", 0.40, memory},
	{"10,000 calls to Secrets Manager", 0.05, memory},
	{"key of KMS, a month", 1, memory},
	{"10,000 calls to KMS", 0.03, memory},
	{"million reads of DynamoDB", 0.125, memory},
	{"million writes of DynamoDB", 0.625, memory},
	{"GB in DynamoDB, a month", 0.25, memory},
	{"million requests to the HTTP API", 1.00, memory},
	{"million requests to Lambda", 0.20, memory},
	{"GB-second of Lambda on arm64", 0.0000133, memory},
	{"GB of logs", 0.50, memory},
	{"alarm, a month", 0.10, memory},
	{"metric, a month", 0.30, memory},
}

var alibabaPrices = prices{
	{"KMS instance, a day", 4.5, vendor2024},
	{"key, a day", 0.03, vendor2024},
	{"secret, a day", 0.013, vendor2024},
	{"call a second to KMS in the day's busiest minute, a day", 0.5, vendor2024},
	{"10,000 calls to KMS without an instance", 0.085, memory},
	{"million reads of Tablestore", 0.14, memory},
	{"million writes of Tablestore", 0.28, memory},
	{"GB in Tablestore, a month", 0.15, memory},
	{"unit of Function Compute (CU)", 0.00002, vendor2024},
	{"CUs of 10,000 invocations", 75, vendor2024},
	{"CUs of a second of a processor", 1, vendor2024},
	{"CUs of a second of a GB", 0.15, vendor2024},
	{"GB of logs, written and kept for a month", 0.06, memory},
}
