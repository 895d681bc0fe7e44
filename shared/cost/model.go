package main

import "math"

// What a binding does in a month of 30 days.
const (
	days        = 30
	checks      = days // one a day
	credentials = 60
	changes     = 2 // binds, looks and the like
	requests    = credentials + changes
	// Runs of the schedules, whatever the number of bindings.
	checkRuns        = days * 24 * 4
	subscriptionRuns = days * 24 * 60
	runs             = checkRuns + subscriptionRuns
)

// What a call makes of calls to the stores; tests count them, see [write].
const (
	readsOfCheck, writesOfCheck = 1, 2
	readsOfRequest              = 1
	vaultReads                  = checks + credentials
	readsOfRuns                 = checkRuns*4 + subscriptionRuns*2 // of the index
	writesOfRuns                = runs * 2                         // of the lease
)

// What is assumed: seconds of a function, and bytes.
const (
	credentialTime = 0.05
	checkTime      = 0.25
	lineLength     = 1_000
	rowLength      = 2_000
)

// A row of the envelope vault has up to three generations. Each read of it may have to unwrap a
// data key; a process that has unwrapped it already makes fewer calls.
const sealedLength = 3_000

const gigabyte = 1e9

// part is a part of the bill.
type part struct {
	name string
	cost func(bindings float64) float64
}

// cloud is the bill of a cloud. Its first part is the secrets. The prices are those that another
// bill before it doesn't list.
type cloud struct {
	name   string
	prices []price
	parts  []part
}

func (c cloud) total(bindings float64) (sum float64) {
	for _, p := range c.parts {
		sum += p.cost(bindings)
	}
	return sum
}

// each returns the cost of a part that is the same for each binding.
func each(dollars float64) func(float64) float64 {
	return func(bindings float64) float64 { return bindings * dollars }
}

// fixed returns the cost of a part that doesn't depend on the bindings.
func fixed(dollars float64) func(float64) float64 {
	return func(float64) float64 { return dollars }
}

// aws returns the bill of AWS. A write of a record is four of DynamoDB, with those of its indexes.
// A check also reads its entry of the index of what is due.
func aws(p prices) cloud {
	const rowsPerWrite, memory, alarms, metrics = 4, 0.5, 36, 35
	const reads = requests*readsOfRequest + checks*(readsOfCheck+1)
	const writes = checks * writesOfCheck * rowsPerWrite
	return cloud{"AWS", p, []part{
		{"secrets", each(p.of("secret, a month"))},
		{"calls to Secrets Manager", each(vaultReads *
			p.of("10,000 calls to Secrets Manager") / 1e4)},
		{"table: reads", func(n float64) float64 {
			return (n*reads + readsOfRuns) * p.of("million reads of DynamoDB") / 1e6
		}},
		{"table: writes", func(n float64) float64 {
			return (n*writes + writesOfRuns) * p.of("million writes of DynamoDB") / 1e6
		}},
		{"table: storage", each(rowLength / gigabyte * p.of("GB in DynamoDB, a month"))},
		{"requests to the API and the functions", func(n float64) float64 {
			return n*requests*p.of("million requests to the HTTP API")/1e6 +
				(n*requests+runs)*p.of("million requests to Lambda")/1e6
		}},
		{"time of the functions", each((credentials*credentialTime + checks*checkTime) * memory *
			p.of("GB-second of Lambda on arm64"))},
		{"logs", each((requests + checks) * lineLength / gigabyte * p.of("GB of logs"))},
		{"alarms and metrics", fixed(alarms*p.of("alarm, a month") +
			metrics*p.of("metric, a month"))},
	}}
}

// awsSealed returns the bill of AWS with the envelope vault.
func awsSealed(p prices) cloud {
	return aws(p).sealed(2, []part{
		{"key", fixed(p.of("key of KMS, a month"))},
		{"calls to KMS", each(vaultReads * p.of("10,000 calls to KMS") / 1e4)},
		{"sealed tokens", each(vaultReads*p.of("million reads of DynamoDB")/1e6 +
			sealedLength/gigabyte*p.of("GB in DynamoDB, a month"))},
	})
}

// alibabaSealed returns the bill of Alibaba Cloud with the envelope vault, whose key is the
// default key of the account, which costs nothing.
func alibabaSealed(p prices) cloud {
	return alibaba(p).sealed(1, []part{
		{"calls to KMS", each(vaultReads * p.of("10,000 calls to KMS without an instance") / 1e4)},
		{"sealed tokens", each(vaultReads*p.of("million reads of Tablestore")/1e6 +
			sealedLength/gigabyte*p.of("GB in Tablestore, a month"))},
	})
}

// sealed returns the bill with other parts in place of the first ones, which are of the secrets.
func (c cloud) sealed(first int, parts []part) cloud {
	return cloud{c.name + " with the envelope vault", nil, append(parts, c.parts[first:]...)}
}

// alibaba returns the bill of Alibaba Cloud. A write of a record is three of Tablestore: the row
// and two in its index. Behind the router each request is two invocations.
func alibaba(p prices) cloud {
	const rowsPerWrite, perRequest, secretsOfInstance, cpu, memory = 3, 2, 100_000, 0.25, 0.5
	const reads = requests*readsOfRequest + checks*readsOfCheck
	const writes = checks * writesOfCheck * rowsPerWrite
	cu := p.of("unit of Function Compute (CU)")
	second := cpu*p.of("CUs of a second of a processor") + memory*p.of("CUs of a second of a GB")
	return cloud{"Alibaba Cloud", p, []part{
		{"secrets, with the KMS instances", func(n float64) float64 {
			instances := math.Ceil(n / secretsOfInstance)
			return days * (instances*(p.of("KMS instance, a day")+p.of("key, a day")) +
				n*p.of("secret, a day") +
				peak(n)*p.of("call a second to KMS in the day's busiest minute, a day"))
		}},
		{"table: reads", func(n float64) float64 {
			return (n*reads + readsOfRuns) * p.of("million reads of Tablestore") / 1e6
		}},
		{"table: writes", func(n float64) float64 {
			return (n*writes + writesOfRuns) * p.of("million writes of Tablestore") / 1e6
		}},
		{"table: storage", each(rowLength / gigabyte * p.of("GB in Tablestore, a month"))},
		{"invocations", func(n float64) float64 {
			return (n*requests*perRequest + runs) * p.of("CUs of 10,000 invocations") / 1e4 * cu
		}},
		{"time of the functions", each((credentials*perRequest*credentialTime + checks*checkTime) *
			second * cu)},
		{"logs", each((requests + checks) * lineLength / gigabyte *
			p.of("GB of logs, written and kept for a month"))},
	}}
}

// peak returns the calls a second to KMS in a day's busiest minute, in which all checks of a run
// of the check are made, and as many credentials as in the mean.
func peak(bindings float64) float64 {
	const checksOfRun = float64(checks) / checkRuns
	const credentialsASecond = float64(credentials) / (days * 24 * 3600)
	return math.Ceil(bindings * (checksOfRun/60 + credentialsASecond))
}
