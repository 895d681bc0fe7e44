package e2e_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bindery/shared/testkit"
	"bindery/shared/trigger/triggertest"
)

// olderCommit is the last commit before format 2. Its rows have no format, and it keeps notes about
// secrets, where this version lists them in the rows that own them.
const olderCommit = "1ec35a1f5665c541396158ff770f66078ed33086"

// codeVersion is a version of Bindery that serves the deployment.
type codeVersion struct {
	name string
	// processes are by the function's folder. Console and router touch no store and have no older
	// version here.
	processes map[string]*triggertest.Process
	// codeField and codeHeader are the confirmation code's names in the version's API.
	codeField, codeHeader string
}

// twoVersions is a deployment on Lambda whose functions run in two versions, on the same stores.
type twoVersions struct {
	*deployment
	older, newer *codeVersion
	active       *codeVersion // serves requests and the schedule
}

// startTwoVersions starts a deployment that the newer version serves at first.
func startTwoVersions(t *testing.T) *twoVersions {
	t.Helper()
	binaries := built.olderFunctions(t)
	d := startLambda(t)
	v := &twoVersions{
		deployment: d,
		newer: &codeVersion{
			name: "newer", processes: maps.Clone(d.processes),
			codeField: "confirmationCode", codeHeader: "Bindery-Confirmation-Code",
		},
		older: &codeVersion{
			name: "older", processes: map[string]*triggertest.Process{},
			codeField: "finish", codeHeader: "Bindery-Finish",
		},
	}
	// Each version runs with the rights of its own template.
	document := readYAML(t, filepath.Join(filepath.Dir(binaries), "older", "template.yaml"))
	for _, f := range functionsOf(t, document) {
		d.aws.rights[f.folder] = append(d.aws.rights[f.folder], rightsOf(t, document, f)...)
	}
	for _, folder := range olderFolders() {
		o := d.options(folder)
		o.Binary = filepath.Join(binaries, folder)
		p := triggertest.Start(t, o)
		v.older.processes[folder] = p
		d.started.all = append(d.started.all, p)
	}
	v.use(v.newer)
	return v
}

// use makes a version serve what comes next.
func (v *twoVersions) use(c *codeVersion) {
	v.active = c
	maps.Copy(v.processes, c.processes)
}

func olderFolders() []string {
	return []string{
		"credential", "expirycheck", "oauthcallback", "oauthconfirm", "oauthstart", "status",
		"tokenbind", "unbind",
	}
}

// olderFunctions builds the functions of olderCommit once, from the repository's own history.
func (s *artifacts) olderFunctions(t testing.TB) (folder string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.olderFolder == "" {
		source, folder := filepath.Join(s.dir, "older"), filepath.Join(s.dir, "functions-older")
		unpackCommit(t, olderCommit, source)
		var packages []string
		for _, f := range olderFolders() {
			packages = append(packages, "./functions/"+f)
		}
		buildIn(t, source, forAWS, folder+"/", packages...)
		s.olderFolder = folder
	}
	return s.olderFolder
}

// unpackCommit writes the files of a commit into a new folder. It skips the test in a copy without
// the repository's history.
func unpackCommit(t testing.TB, commit, to string) {
	t.Helper()
	archive := to + ".tar"
	take := exec.Command("git", "archive", "--output", archive, commit)
	take.Dir = root
	if out, err := take.CombinedOutput(); err != nil {
		t.Logf("%v: %s", err, out)
		testkit.Missing(t, "older version in this copy's history", "git fetch --unshallow")
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-xf", archive, "-C", to).CombinedOutput(); err != nil {
		t.Fatalf("unpacking: %v: %s", err, out)
	}
}
