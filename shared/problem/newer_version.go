package problem

import "net/http"

// NewerVersion is the problem of a record that a newer version of Bindery has written. A code that
// the catalogue does not have is shown with its texts.
const NewerVersion Code = "newer_version"

// Known reports whether the catalogue of this version has the code.
func Known(code Code) bool {
	_, ok := catalogue[code]
	return ok
}

func newerVersions() map[Code]entry {
	return map[Code]entry{
		NewerVersion: {
			status: http.StatusServiceUnavailable,
			title:  text{"由较新版本的 Bindery 写入", "Written by a newer version of Bindery"},
			detail: text{
				"这项内容由较新版本的 Bindery 写入，当前版本无法处理。",
				"This was written by a newer version of Bindery. This version can't act on it.",
			},
			remedy: text{
				"请管理员更新 Bindery；如果正在更新，请等待更新完成后重试。",
				"Ask your administrator to update Bindery. " +
					"If an update is running, wait until it is done, then try again.",
			},
		},
	}
}
