package secret_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// wordsOfSecrets are the words by which a field's name says that it holds a secret.
var wordsOfSecrets = []string{
	"access", "authorization", "bearer", "code", "codes", "cookie", "cookies", "credential",
	"credentials", "handshake", "key", "keys", "passphrase", "password", "refresh", "secret",
	"secrets", "state", "ticket", "token", "tokens", "verifier",
}

// allowed are fields with such a name that aren't secret.Text, each with the reason. A name that
// ends with a dot stands for a package and everything in it. An entry for a field that no longer
// exists must be removed.
var allowed = map[string]string{
	"functions/local.app.Secrets":                "made up, and written only on the laptop",
	"functions/local.signIn.key":                 "signs only on a laptop, and isn't text",
	"shared/api.credentialJSON.Token":            "the only reply with a token; a build gets it",
	"shared/auth.parseKeys.Keys":                 "the issuer's public keys",
	"shared/alibabacloud.answer.code":            "names an error",
	"shared/alibabacloud.describe.Code":          "names an error",
	"shared/dispatch.refused.Code":               "names an error",
	"shared/instance.acrPage.Code":               "names an error",
	"shared/problem.Details.Code":                "names a problem",
	"shared/problem.Problem.Code":                "names a problem",
	"shared/provider..code":                      "names a problem",
	"shared/provider.apiError.code":              "a platform's name for an error",
	"shared/provider.gitLabUser.State":           "whether a user is active",
	"shared/provider.oauth.token":                "the address of a token endpoint",
	"shared/provider.refusal.code":               "names a problem",
	"shared/provider.refusal.refresh":            "names a problem",
	"shared/provider.rule.code":                  "a platform's name for an error",
	"shared/sandbox/codeup.":                     "its tokens are made up; nothing deployed links it",
	"shared/sandbox/gitlab.":                     "its tokens are made up; nothing deployed links it",
	"shared/sandbox/oauth.":                      "its tokens are made up; nothing deployed links it",
	"shared/config.Alibaba.KMSKey":               "the id of an encryption key, not the key",
	"shared/table/tablestore.answer.code":        "names an error",
	"shared/vault/kms.Options.Key":               "the id of an encryption key, not the key",
	"shared/api.repositoryJSON.Key":              "an opaque name of a repository",
	"shared/binding/repository.Repository.Key":   "an opaque name of a repository",
	"shared/vault/kms.listing.SecretName":        "a secret's random name in the vault",
	"shared/vault/kms.reply.SecretName":          "a secret's random name in the vault",
	"shared/vault/kms.reply.SecretDataType":      "how a value is encoded",
	"shared/binding.Token.Secret":                "a secret's random name in the vault",
	"shared/binding.Subscription.Secret":         "a secret's random name in the vault",
	"shared/binding.SubscribedRepository.Key":    "an opaque name of a repository",
	"shared/binding.EventRepository.Key":         "an opaque name of a repository",
	"shared/binding.SourceEvent.State":           "what became of an event",
	"shared/api.subscribedJSON.Key":              "an opaque name of a repository",
	"shared/api.deliveryJSON.State":              "what became of an event",
	"shared/api.permissionJSON.State":            "whether a token has a permission",
	"shared/event.sourceRepository.Key":          "an opaque name of a repository",
	"shared/provider.bitbucketPull.State":        "whether a pull request is open",
	"shared/provider.gitHubHook.Secret":          "the stars that GitHub shows in place of one",
	"shared/sandbox/bitbucket.":                  "its secrets are made up; nothing deployed links it",
	"shared/sandbox/gitee.":                      "its secrets are made up; nothing deployed links it",
	"shared/sandbox/github.":                     "its secrets are made up; nothing deployed links it",
	"shared/sandbox/hooks.Delivery.State":        "what became of a delivery",
	"shared/sandbox.receiver.verifier":           "verifies signatures, and isn't text",
	"shared/table.DueEntry.Authorization":        "an authorization's id",
	"shared/binding.IdentityEntry.Authorization": "an authorization's id",
	"shared/trigger.httpEvent.Cookies":           "a runtime's event as it is decoded",
	"shared/trigger.lambdaReply.Cookies":         "a runtime's reply as it is encoded",
}

// about are the last words of names that describe a property of a secret, not the secret.
var about = []string{"hash", "id", "level", "prefix", "url"}

// TestD2_EveryFieldNamedLikeASecretIsSecretText reads the source of the whole module, for all build
// tags, and finds the fields of structs that are named like a secret and hold plain text.
func TestD2_EveryFieldNamedLikeASecretIsSecretText(t *testing.T) {
	m := readModule(t, filepath.Join("..", ".."))
	if len(m.fields) < 300 {
		t.Fatalf("only %d fields were found", len(m.fields))
	}
	used := map[string]bool{}
	for _, f := range m.fields {
		if !called(f.name) || !m.text(f.pkg, f.imports, f.kind) {
			continue
		}
		id, whole := f.pkg+"."+f.within+"."+f.name, f.pkg+"."
		used[id], used[whole] = true, true
		if allowed[id] == "" && allowed[whole] == "" {
			t.Errorf("%s is called like a secret and isn't a secret.Text", id)
		}
	}
	for id := range allowed {
		if !used[id] {
			t.Errorf("%s is allowed, and there is no such field", id)
		}
	}
}

// Counter-check: the test above finds a field in any of the usual forms.
func TestD2_AFieldWithAPlainSecretIsFound(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "", `package sample
		import ("bindery/shared/secret"; "golang.org/x/oauth2")
		type loose string
		type inner struct { AccessToken *loose; Fine secret.Text; VerifierHash string }
		func f() { _ = struct { refreshTokens map[string][]byte; clientSecret secret.Text }{} }
		type outer struct { token *oauth2.Token; confirmationCode, code any; password []secret.Text }
		type plain struct { Username string; Tokens int; Secrets []inner }`,
		parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	m := &module{types: map[string]declared{}}
	m.read("sample", file)
	var seen []string
	for _, f := range m.fields {
		if called(f.name) && m.text(f.pkg, f.imports, f.kind) {
			seen = append(seen, f.within+"."+f.name)
		}
	}
	want := []string{
		"inner.AccessToken", "f.refreshTokens", "outer.token", "outer.confirmationCode", "outer.code",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}

// called reports whether a name has one of wordsOfSecrets in it.
func called(name string) bool {
	words := camelWords(name)
	if slices.Contains(about, words[len(words)-1]) {
		return false
	}
	for _, word := range words {
		if slices.Contains(wordsOfSecrets, word) {
			return true
		}
	}
	return false
}

// camelWords returns the words of a Go name: "clientSecretsURL" is client, secrets, url.
func camelWords(name string) []string {
	runes := []rune(name)
	var words []string
	start := 0
	for i := 1; i <= len(runes); i++ {
		end := i == len(runes) || unicode.IsUpper(runes[i]) &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if end {
			words = append(words, strings.ToLower(string(runes[start:i])))
			start = i
		}
	}
	return words
}

// field is a field of a struct.
type field struct {
	pkg     string // the folder, from the module's root
	within  string // the declaration around it
	name    string
	kind    ast.Expr
	imports map[string]string // a file's: name -> folder
}

// module is the result of reading the source.
type module struct {
	types  map[string]declared // folder + "." + name
	fields []field
}

type declared struct {
	kind    ast.Expr
	imports map[string]string
}

func readModule(t *testing.T, root string) *module {
	t.Helper()
	m := &module{types: map[string]declared{}}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != root &&
			(strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" ||
				strings.HasSuffix(entry.Name(), "test")) { // tabletest: only for tests
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		m.read(filepath.ToSlash(pkg), file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// read adds the types and fields of a file.
func (m *module) read(pkg string, file *ast.File) {
	imports := map[string]string{}
	for _, i := range file.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		if folder, ours := strings.CutPrefix(path, "bindery/"); ours {
			imports[name] = folder
		}
	}
	for _, decl := range file.Decls {
		within := ""
		if f, ok := decl.(*ast.FuncDecl); ok {
			within = f.Name.Name
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				within = n.Name.Name
				m.types[pkg+"."+n.Name.Name] = declared{n.Type, imports}
			case *ast.StructType:
				for _, f := range n.Fields.List {
					for _, name := range f.Names {
						m.fields = append(m.fields, field{pkg, within, name.Name, f.Type, imports})
					}
				}
			}
			return true
		})
	}
}

// text reports whether a type holds plain text: a string, bytes, a list or map of these, or a type
// of another module, unless that is known to hold none.
func (m *module) text(pkg string, imports map[string]string, kind ast.Expr) bool {
	switch k := kind.(type) {
	case *ast.StarExpr:
		return m.text(pkg, imports, k.X)
	case *ast.ArrayType:
		return m.text(pkg, imports, k.Elt)
	case *ast.MapType:
		return m.text(pkg, imports, k.Value) || m.text(pkg, imports, k.Key)
	case *ast.Ident:
		switch k.Name {
		case "string", "byte", "any", "rune":
			return true
		}
		return m.named(pkg, k.Name)
	case *ast.SelectorExpr:
		name := k.X.(*ast.Ident).Name
		if folder, ours := imports[name]; ours {
			return m.named(folder, k.Sel.Name)
		}
		return !slices.Contains(harmless, name+"."+k.Sel.Name)
	}
	return false // structs, functions, channels and interfaces: their fields are read themselves
}

// harmless are types of other modules that hold no text.
var harmless = []string{"time.Time", "time.Duration", "sync.Mutex", "sync.RWMutex"}

func (m *module) named(pkg, name string) bool {
	d, ok := m.types[pkg+"."+name]
	if !ok || pkg == "shared/secret" && name == "Text" {
		return false
	}
	return m.text(pkg, d.imports, d.kind)
}
