package gitee

type hook struct{}
