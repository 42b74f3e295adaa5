package repotest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"io"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// An importRule forbids packages to reach others, over any number of steps. A
// pattern is an import path below the module unless its first element has a
// dot; "/..." at its end takes in what lies below.
type importRule struct {
	from  []string
	never []string
	why   string
}

var (
	cores       = slices.Concat([]string{"internal/webhooksecret", "internal/export", "internal/export/records"}, tokenPackages, relayPackages)
	seams       = []string{"internal/secretstore", "internal/objectstore", "internal/lease"}
	clientNames = []string{"assisttencho", "yappli", "shopline", "actibook", "supersaas"}
	aws         = []string{"github.com/aws/aws-sdk-go-v2/...", "github.com/aws/aws-lambda-go/...", "github.com/aws/smithy-go/..."}
	fakes       = []string{"internal/awslocal", "internal/localstack", "pkg/providers/sandbox"}
)

// tokenPackages are the packages of the token refresher: each knows those after it that
// importRules allows.
var tokenPackages = []string{"internal/tokenrefresh", "internal/tokenrefresh/rotation", "internal/tokenrefresh/execute", "internal/tokenrefresh/protocol"}

// relayPackages are the packages of the relay: each knows those before it that
// importRules allows.
var relayPackages = []string{
	"internal/webhookrelay/outcome", "internal/webhookrelay/queue", "internal/webhookrelay/ingest", "internal/webhookrelay/mapping", "internal/webhookrelay/published", "internal/webhookrelay/state",
	"internal/webhookrelay/tenant", "internal/webhookrelay/plan", "internal/webhookrelay/relay", "internal/webhookrelay/reconcile", "internal/webhookrelay/admin",
}

// onlyPackages forbids a package of the relay all others but those named.
func onlyPackages(from, why string, allowed ...string) importRule {
	rule := importRule{from: []string{"internal/webhookrelay/" + from}, why: why}
	for _, p := range relayPackages {
		if name := path.Base(p); name != from && !slices.Contains(allowed, name) {
			rule.never = append(rule.never, p)
		}
	}
	return rule
}

func importRules() []importRule {
	var clients []string
	for _, name := range clientNames {
		clients = append(clients, "pkg/providers/"+name+"/...")
	}
	rules := []importRule{
		{slices.Concat(cores, seams), aws, "cores and seams know no AWS; put it into a store or into internal/lambdafn"},
		{slices.Concat(cores, seams), []string{"internal/lambdafn/...", "cmd/...", "functions/..."}, "wiring lies above the cores"},
		{slices.Concat(cores, seams), fakes, "a core must not know whether its world is real"},
		{[]string{"internal/tokenrefresh/protocol"}, slices.Concat([]string{"internal/..."}, clients), "decisions rest on values: nothing can be asked here"},
		{[]string{"internal/tokenrefresh/execute"}, []string{"internal/tokenrefresh", "internal/tokenrefresh/rotation"}, "who drives a run is not known to what does it"},
		{[]string{"internal/webhookrelay/queue"}, slices.Concat([]string{"internal/..."}, clients), "messages are what the packages of the relay share, so they know none of those"},
		{[]string{"internal/webhookrelay/ingest"}, slices.Concat([]string{"internal/objectstore", "internal/secretstore", "internal/lease"}, clients), "ingest takes what strangers send: of the relay it reaches the queue alone, and neither providers nor stores"},
		{[]string{"internal/webhookrelay/outcome"}, clients, "how a job ends is what every part of the relay says, and knows none"},
		{[]string{"internal/webhookrelay/state"}, clients, "the state keeps what it is given, and asks nobody"},
		onlyPackages("outcome", "how a job ends is what every part of the relay says, and knows none"),
		onlyPackages("queue", "messages are what the parts of the relay share, so they know none of those"),
		onlyPackages("mapping", "the mapping knows users and members, and nothing of the relay"),
		onlyPackages("published", "what was published is read and written alike by functions and by people", "mapping"),
		onlyPackages("ingest", "ingest takes what strangers send: of the relay it reaches the queue alone", "queue"),
		onlyPackages("state", "the state keeps what it is given", "outcome"),
		onlyPackages("tenant", "the tenant is what the others work on", "state", "mapping", "outcome"),
		onlyPackages("plan", "what would be written does not depend on who writes it", "tenant", "state", "mapping", "outcome"),
		onlyPackages("relay", "the relay takes its messages from the queue, and works by the plan", "plan", "tenant", "state", "mapping", "outcome", "queue"),
		onlyPackages("reconcile", "the reconcile tells the relay by the queue alone", "plan", "tenant", "state", "mapping", "outcome", "queue"),
		onlyPackages("admin", "what people do goes through the state and the queue", "plan", "tenant", "state", "mapping", "outcome", "queue"),
		{[]string{"internal/doctor"}, slices.Concat(aws, fakes, clients, []string{"internal/lambdafn/...", "internal/secretstore/...", "internal/webhookrelay/..."}), "doctor judges what was read, and asks nobody"},
		{[]string{"internal/pagination"}, slices.Concat([]string{"internal/..."}, clients, aws), "paging knows the vocabulary of errors and the list of an answer, and neither clients nor stores"},
		{[]string{"pkg/jsonscan"}, slices.Concat([]string{"internal/...", "pkg/providers/..."}, aws), "splitting JSON knows nothing of what is in it"},
		{[]string{"pkg/providers/..."}, append([]string{"internal/...", "cmd/..."}, aws...), "the providers are a library of their own"},
		{[]string{"functions/...", "internal/lambdafn", "internal/lambdafn/refreshfn", "internal/lambdafn/relayfn", "internal/lambdafn/exportfn"}, fakes, "no sandbox in production"},
	}
	for _, a := range clientNames {
		client := importRule{from: []string{"pkg/providers/" + a}, never: []string{"pkg/providers/" + a + "/" + a + "test", "pkg/providers/sandbox"}, why: "a client must not contain its sandbox"}
		apart := importRule{from: []string{"pkg/providers/" + a + "/..."}, why: "providers never import each other; what they share lies in pkg/providers and pkg/providers/internal/call"}
		for _, b := range clientNames {
			if a != b {
				apart.never = append(apart.never, "pkg/providers/"+b+"/...")
			}
		}
		rules = append(rules, client, apart)
	}
	return rules
}

// A confinement names the only packages that may import a package. Tests
// may always.
type confinement struct {
	to   []string
	only []string
	why  string
}

var confinements = []confinement{
	{[]string{"github.com/go-json-experiment/json/..."}, []string{"pkg/jsonscan"}, "the experimental JSON package is confined to pkg/jsonscan"},
	{[]string{"github.com/aws/aws-sdk-go-v2/...", "github.com/aws/smithy-go/..."},
		[]string{"internal/secretstore/smstore", "internal/objectstore/s3store", "internal/lambdafn/...", "cmd/hikyaku"}, "the AWS SDK stays behind the stores and the wiring"},
	{[]string{"github.com/aws/aws-lambda-go/..."}, []string{"internal/lambdafn/...", "internal/awslocal", "cmd/hikyaku"}, "only the wiring, the local AWS and the command line speak Lambda"},
	{[]string{"internal/awslocal"}, []string{"internal/localstack", "internal/dev", "cmd/hikyaku"}, "the local AWS is for the command line and tests"},
	{[]string{"internal/dev/..."}, []string{"cmd/hikyaku"}, "the development stack is for the command line and tests"},
	{[]string{"internal/localstack"}, []string{"internal/dev", "cmd/hikyaku"}, "the local AWS is for the command line and tests"},
	{[]string{"internal/boltkeeper", "go.etcd.io/bbolt/..."}, []string{"internal/dev", "internal/boltkeeper"}, "state in a file is for the development stack"},
	{[]string{
		"pkg/providers/assisttencho/assisttenchotest", "pkg/providers/yappli/yapplitest", "pkg/providers/shopline/shoplinetest",
		"pkg/providers/actibook/actibooktest", "pkg/providers/supersaas/supersaastest",
	}, []string{"internal/localstack", "cmd/hikyaku"}, "sandboxes are for the command line and tests"},
	{[]string{"internal/prove"}, []string{"internal/objectstore/objectstoretest", "internal/secretstore/secretstoretest", "internal/cloudwatchtest"}, "the proofs are tests"},
	{[]string{"internal/crash", "internal/cloudwatchtest", "internal/objectstore/objectstoretest", "internal/secretstore/secretstoretest", "pkg/providers/sandbox/keepertest", "pkg/providers/sandbox/sandboxtest"}, nil, "these are for tests alone"},
	{[]string{"cmd/...", "functions/..."}, nil, "nothing imports a command"},
}

const module = "hikyaku"

func matches(pattern, path string) bool {
	if first, _, _ := strings.Cut(pattern, "/"); !strings.Contains(first, ".") {
		pattern = module + "/" + pattern
	}
	if base, found := strings.CutSuffix(pattern, "/..."); found {
		return path == base || strings.HasPrefix(path, base+"/")
	}
	return path == pattern
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

// listed is a package as the go command lists it.
type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// list returns every package of the module and what it reaches.
func list(t *testing.T) map[string]listed {
	t.Helper()
	packages, err := listPackages()
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// listPackages asks the go command once, for all tests.
var listPackages = sync.OnceValues(func() (map[string]listed, error) {
	command := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	command.Dir = root
	var faults bytes.Buffer
	command.Stderr = &faults
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &faults)
	}
	packages := map[string]listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var r listed
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages[r.ImportPath] = r
	}
})

// chainTo returns the shortest chain of imports from a package to one that a
// pattern matches, or nil.
func chainTo(packages map[string]listed, from string, never []string) []string {
	came := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if at := queue[0]; at != from && matchesAny(never, at) {
			var chain []string
			for ; at != ""; at = came[at] {
				chain = append(chain, at)
			}
			slices.Reverse(chain)
			return chain
		}
		for _, next := range packages[queue[0]].Imports {
			if _, seen := came[next]; !seen {
				came[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	return nil
}

func TestImports(t *testing.T) {
	t.Parallel()
	packages := list(t)
	for _, a := range importRules() {
		mustExist(t, packages, a.from)
		mustExist(t, packages, a.never)
		for path := range packages {
			if !matchesAny(a.from, path) {
				continue
			}
			if chain := chainTo(packages, path, a.never); chain != nil {
				t.Errorf("%s: %s", strings.Join(chain, " -> "), a.why)
			}
		}
	}
}

// The programs of the build and the proofs, in scripts/, are no part of what is
// deployed or run: they may import anything.
func TestConfined(t *testing.T) {
	t.Parallel()
	packages := list(t)
	for _, d := range confinements {
		mustExist(t, packages, d.to)
		mustExist(t, packages, d.only)
		for path, r := range packages {
			if !strings.HasPrefix(path, module+"/") || matches("scripts/...", path) || matchesAny(d.only, path) || matchesAny(d.to, path) {
				continue
			}
			for _, to := range r.Imports {
				if matchesAny(d.to, to) {
					t.Errorf("%s imports %s: %s", path, to, d.why)
				}
			}
		}
	}
}

// The providers' tests keep apart too, or the library could not be taken out.
func TestProvidersTestApart(t *testing.T) {
	t.Parallel()
	for path, r := range list(t) {
		if !matches("pkg/providers/...", path) {
			continue
		}
		for _, to := range slices.Concat(r.TestImports, r.XTestImports) {
			if matches("internal/...", to) || matchesAny(aws, to) {
				t.Errorf("a test of %s imports %s: the providers are a library of their own", path, to)
			}
			if matches("pkg/providers/sandbox", path) {
				continue // its example has to show one
			}
			for _, name := range clientNames {
				if matches("pkg/providers/"+name+"/...", to) && !matches("pkg/providers/"+name+"/...", path) {
					t.Errorf("a test of %s imports %s: providers never import each other", path, to)
				}
			}
		}
	}
}

func mustExist(t *testing.T, packages map[string]listed, patterns []string) {
	t.Helper()
	for _, p := range patterns {
		found := false
		for path := range packages {
			found = found || matches(p, path)
		}
		if !found {
			t.Errorf("a rule speaks of %s, which no longer exists: change the rule in imports_test.go with the package", p)
		}
	}
}

// environmentReaders may read the process's environment: the wiring, the
// command line, the file that the test of coverage.tsv asks for, and the proofs.
var environmentReaders = []string{"internal/lambdafn/", "cmd/hikyaku/", "pkg/providers/internal/seenfile/", "internal/prove/"}

// The environment is read in one place, so that every setting is checked at
// start and listed with the others.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	readers := map[string]bool{}
	for _, f := range sources(t) {
		if f.test || strings.HasPrefix(f.path, "scripts/") {
			continue
		}
		for _, use := range environmentUses(f) {
			allowed := false
			for _, dir := range environmentReaders {
				if strings.HasPrefix(f.path, dir) {
					allowed, readers[dir] = true, true
				}
			}
			if !allowed {
				t.Errorf("%s reads the environment; take a setting from internal/lambdafn instead", use)
			}
		}
	}
	for _, dir := range environmentReaders {
		if dir != "cmd/hikyaku/" && !readers[dir] {
			t.Errorf("%s no longer reads the environment: change the rule in imports_test.go", dir)
		}
	}
}

// environmentUses returns the places where a file calls or passes on a
// function that reads the environment.
func environmentUses(f source) []token.Position {
	names := map[string]bool{} // by which the file knows os and syscall
	for _, spec := range f.file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if path != "os" && path != "syscall" {
			continue
		}
		name := path
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = true
	}
	var uses []token.Position
	ast.Inspect(f.file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if of, ok := selector.X.(*ast.Ident); ok && names[of.Name] {
			switch selector.Sel.Name {
			case "Getenv", "LookupEnv", "Environ", "ExpandEnv":
				uses = append(uses, f.set.Position(selector.Pos()))
			}
		}
		return true
	})
	return uses
}
