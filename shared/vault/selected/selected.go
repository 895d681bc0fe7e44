// Package selected opens the vault that this binary was built for: a build tag says which, so
// that no other is linked. With the tag aws it is Secrets Manager, with alibaba KMS, and without a
// tag the laptop's, a folder of files.
package selected
