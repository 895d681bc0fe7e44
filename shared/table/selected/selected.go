// Package selected opens the table that the binary was built for: DynamoDB with the tag aws,
// Tablestore with the tag alibaba, and without a tag a file. It is chosen at build time because a
// cloud's library is most of what a binary weighs.
package selected
