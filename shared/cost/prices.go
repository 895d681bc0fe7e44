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

// Where prices are from. Those with a vendor's page were read there, or in a copy of it.
const (
	memory = "from memory, November 2026; please check"

	ofKMS            = "[AWS](https://aws.amazon.com/kms/pricing/), November 2026"
	ofSecretsManager = "[AWS](https://aws.amazon.com/secrets-manager/pricing/), by " +
		"[a summary](https://hivebook.wiki/wiki/" +
		"aws-secrets-manager-rotated-secrets-dynamic-db-credentials-kms), November 2026"
	ofDynamoDB = "[AWS](https://aws.amazon.com/dynamodb/pricing/on-demand/), by " +
		"[a summary](https://airbyte.com/data-engineering-resources/dynamodb-pricing), July 2025"
	ofLambda = "[AWS](https://aws.amazon.com/lambda/pricing/), by " +
		"[a copy](https://git.mcrn.ar/mariano/lambda_local_runner)"

	ofAlibabaKMS = "[Alibaba Cloud](https://alibabacloud.com/help/en/kms/" +
		"key-management-service/pay-as-you-go), August 2024"
	vendor2024 = "the vendor's page, 2024"
)

// awsPrices are of us-east-1.
var awsPrices = prices{
	{"secret, a month", 0.40, ofSecretsManager},
	{"10,000 calls to Secrets Manager", 0.05, ofSecretsManager},
	{"key of KMS, a month", 1, ofKMS},
	{"10,000 calls to KMS", 0.03, ofKMS},
	{"million reads of DynamoDB", 0.125, ofDynamoDB},
	{"million writes of DynamoDB", 0.625, ofDynamoDB},
	{"GB in DynamoDB, a month", 0.25, memory},
	{"million requests to the HTTP API", 1.00, memory},
	{"million requests to Lambda", 0.20, ofLambda},
	{"GB-second of Lambda on arm64", 0.0000133334, ofLambda},
	{"GB of logs", 0.50, memory},
	{"alarm, a month", 0.10, memory},
	{"metric, a month", 0.30, memory},
}

var alibabaPrices = prices{
	{"KMS instance, a day", 4.5, ofAlibabaKMS},
	{"key, a day", 0.03, ofAlibabaKMS},
	{"secret, a day", 0.013, ofAlibabaKMS},
	{"call a second to KMS in the day's busiest minute, a day", 0.5, ofAlibabaKMS},
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
