// Package selected opens the vault that this binary was built for: a build tag says which, so
// that no other is linked. Without a tag it is the laptop's, a folder of files.
package selected
