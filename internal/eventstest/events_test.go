package eventstest_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/cloudwatchtest"
	"hikyaku/internal/eventstest"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

var update = flag.Bool("update", false, "write testdata/ anew from what the binaries do")

// prepared says what happened before an event, so that it has something to
// work on: the tokens, the relay's index, the steps of a rotation.
func (w *world) prepared(function, file string) {
	w.Helper()
	if function == localstack.Ingest || function == localstack.TokenRefresh && alias(file) != localstack.Rotation {
		return
	}
	w.prepare(localstack.TokenRefresh, "schedule.json")
	switch function {
	case localstack.TokenRefresh:
		w.pending(event(w.T, function, file))
		for _, step := range []string{"rotation-create.json", "rotation-set.json", "rotation-test.json", "rotation-finish.json"} {
			if step == file {
				return
			}
			if strings.HasPrefix(file, "rotation-") {
				w.prepare(function, step)
			}
		}
	case localstack.Relay:
		w.prepare(localstack.Reconcile, "step-functions.json")
		w.messages(w.users) // not what the event is about
	}
}

// alias is the one of tokenrefresh that an event file is sent to.
func alias(file string) string {
	switch {
	case strings.Contains(file, "rotation-"):
		return localstack.Rotation
	case strings.HasPrefix(file, "schedule"):
		return localstack.Schedule
	case strings.HasPrefix(file, "watch"):
		return localstack.Watch
	}
	return localstack.Readers
}

// Every event does what its file in testdata says, in .ci/run through the real
// binary, and every line that is written meanwhile is one that Lambda reads.
func TestEvents(t *testing.T) {
	t.Parallel()
	lines := &said{messages: map[string]bool{}}
	events := 0
	for _, function := range localstack.Functions() {
		events += len(eventFiles(t, function))
	}
	t.Cleanup(func() { lines.check(t, lines.events == events && !asBinaries()) })
	for name, endpoint := range endpoints(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, function := range localstack.Functions() {
				for _, file := range eventFiles(t, function) {
					t.Run(function+"/"+file, func(t *testing.T) {
						if endpoint == "" {
							t.Parallel() // another AWS is shared, and its secrets have fixed names
						}
						checkEvent(t, lines, endpoint, function, file)
					})
				}
			}
		})
	}
}

func eventFiles(t *testing.T, function string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "events", function, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no events of %s: %v", function, err)
	}
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

func checkEvent(t *testing.T, lines *said, endpoint, function, file string) {
	t.Helper()
	w := newWorld(t, endpoint)
	defer func() { lines.add(w.spoken()) }()
	if endpoint != "" && file == "rotation-create.json" {
		t.Skip("no other local AWS shows a pending version that has no value yet")
	}
	w.prepared(function, file)
	before := w.state()
	result := w.invoke(function, file)
	changes := w.changes(before)
	checkRefusal(t, file, result, changes)
	got := "answer " + eventstest.Normalize(result.Payload) + "\n" + strings.Join(append(changes, ""), "\n")
	path := filepath.Join("testdata", function, strings.TrimSuffix(file, ".json")+".txt")
	if *update && endpoint == "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("an event without an expectation: %v", err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s\nlog:\n%s", got, want, w.logs[function])
	}
}

// checkRefusal: a file named error-... is refused, with a text that says what
// was expected, and changes nothing; every other is not.
func checkRefusal(t *testing.T, file string, result awslocal.Result, changes []string) {
	t.Helper()
	var answer struct {
		ErrorMessage string `json:"errorMessage"`
		StatusCode   int    `json:"statusCode"`
	}
	_ = json.Unmarshal(result.Payload, &answer) // an answer may be of any shape
	refused := result.Error != "" || answer.StatusCode >= 400
	if isError := strings.HasPrefix(file, "error-"); refused != isError && file != poison {
		t.Errorf("refused: %v, answer %s", refused, result.Payload)
	}
	if !refused {
		return
	}
	if result.Error != "" && !saysWhatToDo(answer.ErrorMessage) {
		t.Errorf("the error does not name what was expected: %s", answer.ErrorMessage)
	}
	if len(changes) > 0 {
		t.Errorf("a refused event changed %v", changes)
	}
}

// poison is a batch of which one message is none of Hikyaku's: that one is
// given up, the others are relayed.
const poison = "error-poison.json"

func saysWhatToDo(text string) bool {
	for _, word := range []string{"expected", "known are", "must", "is not one of", "needs both", "names its dataset", "has no time range", "not plan, extract or publish", "disable its rotation"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// What testdata holds belongs to an event.
func TestExpectationsHaveEvents(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join("testdata", "*", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		file := strings.TrimSuffix(filepath.Base(path), ".txt") + ".json"
		if _, err := os.Stat(filepath.Join(root, "events", filepath.Base(filepath.Dir(path)), file)); err != nil {
			t.Errorf("%s is nobody's: %v", path, err)
		}
	}
}

// The binaries here are built as the Makefile builds them.
func TestBuildFlags(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "GOBUILD := CGO_ENABLED=0 GOOS=linux go build " + buildFlags + "\n"; !strings.Contains(string(makefile), want) {
		t.Errorf("the Makefile has no line %q", want)
	}
}

// Without settings a binary ends before its first event and lists every fault
// by name.
func TestMissingSettings(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	for function, own := range map[string][]string{
		localstack.TokenRefresh: nil,
		localstack.Relay:        {"HIKYAKU_QUEUE_URL", "HIKYAKU_DEAD_LETTER_QUEUE_URL"},
		localstack.Export:       nil,
	} {
		t.Run(function, func(t *testing.T) {
			env := []string{"AWS_LAMBDA_RUNTIME_API=127.0.0.1:1"}
			if function == localstack.Relay {
				env = append(env, "HIKYAKU_ROLE=relay")
			}
			code, stderr, err := run(t.Context(), binary(t, function), env)
			if err != nil || code == 0 {
				t.Errorf("%s ended with code %d, %v", function, code, err)
			}
			for line := range strings.Lines(stderr) {
				if _, err := cloudwatchtest.ParseLine([]byte(line)); err != nil {
					t.Errorf("%s: %v: %s", function, err, line)
				}
			}
			for _, name := range append(own, "HIKYAKU_PREFIX", "HIKYAKU_BUCKET", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") {
				if !strings.Contains(stderr, name) {
					t.Errorf("%s does not name %s:\n%s", function, name, stderr)
				}
			}
		})
	}
}
