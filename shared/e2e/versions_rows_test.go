package e2e_test

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/awscloud"
)

// row is a row as DynamoDB has it. The tests of versions read and write those, because either
// version's own code may drop what it does not know.
type row = map[string]types.AttributeValue

func textOf(r row, attribute string) string {
	if s, ok := r[attribute].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func (d *deployment) dynamoDB() *dynamodb.Client { return d.dynamoDBOf(admin) }

// dynamoDBOf returns a client with the rights of a function.
func (d *deployment) dynamoDBOf(who string) *dynamodb.Client {
	d.t.Helper()
	env := d.host.(*onLambda).environment(who)
	lookup := func(name string) string { return env[name] }
	configured, err := awscloud.Config(awscloud.DynamoDB, lookup)
	if err != nil {
		d.t.Fatal(err)
	}
	return dynamodb.NewFromConfig(configured)
}

// rows returns every row whose key begins with a kind, "" for all.
func (d *deployment) rows(kind string) (all []row) {
	d.t.Helper()
	pages := dynamodb.NewScanPaginator(d.dynamoDB(), &dynamodb.ScanInput{
		TableName: aws.String(tableName), ConsistentRead: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(d.t.Context())
		if err != nil {
			d.t.Fatal(err)
		}
		all = append(all, page.Items...)
	}
	return slices.DeleteFunc(all, func(r row) bool {
		_, of, _ := strings.Cut(textOf(r, "pk"), ":")
		return !strings.HasPrefix(of, kind)
	})
}

func (d *deployment) putRow(r row) {
	d.t.Helper()
	_, err := d.dynamoDB().PutItem(d.t.Context(), &dynamodb.PutItemInput{
		TableName: aws.String(tableName), Item: r,
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *deployment) recordOf(r row) (record object) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(textOf(r, "record")), &record); err != nil {
		d.t.Fatal(err)
	}
	return record
}

// setRecord replaces the record of a row, and like every writer its version.
func (d *deployment) setRecord(r row, record object) {
	d.t.Helper()
	text, err := json.Marshal(record)
	if err != nil {
		d.t.Fatal(err)
	}
	r["record"] = &types.AttributeValueMemberS{Value: string(text)}
	if textOf(r, "version") != "" {
		r["version"] = &types.AttributeValueMemberS{Value: rand.Text()}
	}
	d.putRow(r)
}

// bindingRow returns the row of the instance's binding to a platform.
func (d *deployment) bindingRow(platform string) (row, object) {
	d.t.Helper()
	for _, r := range d.rows("binding") {
		record := d.recordOf(r)
		if record["platform"] == platform && record["instance"] == d.instance {
			return r, record
		}
	}
	d.t.Fatalf("%s has no row", platform)
	return nil, nil
}

// expireInRow makes a binding's record say that its token has expired.
func (d *deployment) expireInRow(platform string) {
	d.t.Helper()
	r, record := d.bindingRow(platform)
	token := record["token"].(object)
	token["expiresAt"] = time.Now().Add(-time.Minute).UTC().Format(time.RFC3339Nano)
	d.setRecord(r, record)
}

// sortableTime is how the attributes that the index and conditions use begin with a time.
const sortableTime = "2006-01-02T15:04:05.000000000Z"

// letTimePass moves every time in the table into the past, but for the history's: a test can't set
// the clock of a process.
func (d *deployment) letTimePass(period time.Duration) {
	d.t.Helper()
	for _, r := range d.rows("") {
		if _, kind, _ := strings.Cut(textOf(r, "pk"), ":"); strings.HasPrefix(kind, "history") {
			continue
		}
		for _, attribute := range []string{"at", "dueAt"} {
			text := textOf(r, attribute)
			at, err := time.Parse(sortableTime, text[:min(len(text), len(sortableTime))])
			if err != nil {
				continue // the row never comes due
			}
			moved := at.Add(-period).Format(sortableTime) + text[len(sortableTime):]
			r[attribute] = &types.AttributeValueMemberS{Value: moved}
		}
		d.setRecord(r, earlier(d.recordOf(r), period).(object))
	}
}

// earlier moves every time in a JSON value into the past.
func earlier(value any, period time.Duration) any {
	switch v := value.(type) {
	case object:
		for name := range v {
			v[name] = earlier(v[name], period)
		}
	case []any:
		for i := range v {
			v[i] = earlier(v[i], period)
		}
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at.Add(-period).UTC().Format(time.RFC3339Nano)
		}
	}
	return value
}

// pointedSecrets returns the names in the vault of the secrets that bindings point at.
func (d *deployment) pointedSecrets() (all []string) {
	d.t.Helper()
	for _, r := range d.rows("binding") {
		if name, _ := in(d.recordOf(r), "token", "secret").(string); name != "" {
			all = append(all, secretPrefix+name)
		}
	}
	slices.Sort(all)
	return all
}
