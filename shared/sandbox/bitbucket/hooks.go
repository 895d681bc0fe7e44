package bitbucket

type hook struct{}
