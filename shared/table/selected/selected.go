// Package selected opens the table for which the binary was built: DynamoDB with the tag aws,
// Tablestore with the tag alibaba, and a file without a tag. The table is selected at build time
// because a cloud's library is most of a binary's size.
package selected
