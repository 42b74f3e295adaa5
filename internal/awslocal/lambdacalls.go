package awslocal

import (
	"cmp"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	functionsPath  = "/2015-03-31/functions"
	accountPath    = "/2016-08-19/account-settings"
	invocations    = "/invocations"
	configuration  = "/configuration"
	functionsPage  = 50 // functions of one page; the service sends no more
	maxFunctions   = 10000
	requestHeaders = "X-Amz-"

	newAccount = 1000 // invocations at a time that an account may have

	invokeOperation = "lambda.Invoke"
)

// lambdaCalls is what of Lambda is called over HTTP.
type lambdaCalls struct {
	*functions

	sources *sources
	told    *Told
}

type lambdaOperation func(w http.ResponseWriter, r *http.Request, name string) error

func (l lambdaCalls) service() service {
	served := map[string]lambdaOperation{
		"Invoke": l.serveInvoke, "ListFunctions": l.serveList, "GetFunctionConfiguration": l.serveConfiguration,
		"GetEventSourceMapping": l.sources.serveGet, "UpdateEventSourceMapping": l.sources.serveUpdate, "GetAccountSettings": l.serveAccount,
	}
	return service{
		name: "lambda", refuse: refuseLambda,
		operation: func(r *http.Request) string { operation, _ := lambdaName(r); return operation },
		serve: func(w http.ResponseWriter, r *http.Request, operation string) error {
			run, ok := served[operation]
			if !ok {
				return &refusal{Status: http.StatusNotFound, Code: unknownOperation, Message: "the local AWS does not serve lambda " + operation + "; it serves " + list(served)}
			}
			_, name := lambdaName(r)
			name, err := qualified(name, r.URL.Query().Get("Qualifier"))
			if err != nil {
				return err
			}
			return run(w, r, name)
		},
		throttled: refusal{Status: http.StatusTooManyRequests, Code: "TooManyRequestsException", Message: "Rate Exceeded. (injected fault)", Reason: "CallerRateLimitExceeded"},
		failed:    refusal{Status: http.StatusInternalServerError, Code: "ServiceException", Message: "internal failure (injected fault)"},
	}
}

// lambdaName finds the operation of a request, and the function or mapping that it
// names.
// What is not served is named by its method and path.
func lambdaName(r *http.Request) (operation, named string) {
	if strings.HasPrefix(r.URL.Path, sourcesPath) {
		return sourceName(r)
	}
	if strings.Trim(r.URL.Path, "/") == strings.Trim(accountPath, "/") && r.Method == http.MethodGet {
		return "GetAccountSettings", ""
	}
	path := strings.Trim(strings.TrimPrefix(r.URL.Path, functionsPath), "/")
	if invoked, ok := strings.CutSuffix(path, strings.Trim(invocations, "/")); ok && r.Method == http.MethodPost {
		return "Invoke", strings.Trim(invoked, "/")
	}
	if asked, ok := strings.CutSuffix(path, configuration); ok && r.Method == http.MethodGet && !strings.Contains(asked, "/") {
		return "GetFunctionConfiguration", asked
	}
	if path == "" && r.Method == http.MethodGet {
		return "ListFunctions", ""
	}
	if path != "" && !strings.Contains(path, "/") && r.Method == http.MethodGet {
		return "GetFunction", path
	}
	return r.Method + " " + r.URL.Path, ""
}

// qualified is a function's name with the qualifier that a query has. One that the
// name has as well must be the same.
func qualified(name, qualifier string) (string, error) {
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	_, own, has := strings.Cut(localName(name), ":")
	switch {
	case qualifier == "" || own == qualifier:
		return name, nil
	case has:
		return "", refuse("InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier.")
	}
	return name + ":" + qualifier, nil
}

func (l lambdaCalls) serveInvoke(w http.ResponseWriter, r *http.Request, name string) error {
	if err := l.unserved(r, name); err != nil {
		return err
	}
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	if err != nil {
		return refuse("InvalidRequestContentException", "the body cannot be read")
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	w.Header().Set("X-Amz-Executed-Version", lambdaVersion)
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "Event":
		if err := l.invokeLater(name, payload); err != nil {
			return err
		}
		w.WriteHeader(http.StatusAccepted)
	case "DryRun":
		if _, err := l.find(name); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
	case "", "RequestResponse":
		answer, err := l.invoke(r.Context(), name, payload)
		if err != nil {
			return err
		}
		if answer.Error != "" {
			w.Header().Set("X-Amz-Function-Error", answer.Error)
		}
		if r.Header.Get(logTypeHeader) == "Tail" {
			w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(answer.Log))
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer.Payload)
	default:
		return refuse("InvalidParameterValueException", "invocation type %s is none of RequestResponse, Event, DryRun", kind)
	}
	return nil
}

const logTypeHeader = "X-Amz-Log-Type"

// invokeHeaders are those that an invocation may have.
var invokeHeaders = []string{"X-Amz-Invocation-Type", logTypeHeader, "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-User-Agent"}

// unserved refuses what an invocation may ask for and would not get.
func (l lambdaCalls) unserved(r *http.Request, name string) error {
	if err := onlyParameters(r, "Invoke", "Qualifier"); err != nil {
		return err
	}
	for _, header := range slices.Sorted(maps.Keys(r.Header)) {
		if strings.HasPrefix(header, requestHeaders) && !slices.Contains(invokeHeaders, header) {
			return refuse("InvalidParameterValueException", "the local AWS does not serve %s of lambda Invoke", header)
		}
	}
	switch kind := r.Header.Get(logTypeHeader); kind {
	case "", "None":
	case "Tail":
		if f, err := l.find(name); err == nil && f.Compose == nil {
			return refuse("InvalidParameterValueException", "the local AWS does not serve %s Tail of lambda Invoke for %s, which keeps its logs to itself", logTypeHeader, f.Name)
		}
	default:
		return refuse("InvalidParameterValueException", "%s %s is neither None nor Tail", logTypeHeader, kind)
	}
	return nil
}

// onlyParameters refuses what a query has beside the parameters of an operation.
func onlyParameters(r *http.Request, operation string, served ...string) error {
	for _, name := range slices.Sorted(maps.Keys(r.URL.Query())) {
		if !slices.Contains(served, name) {
			return refuse("InvalidParameterValueException", "the local AWS does not serve the parameter %s of lambda %s", name, operation)
		}
	}
	return nil
}

// A functionEntry is a function as Lambda shows it.
type functionEntry struct {
	FunctionName string
	FunctionARN  string `json:"FunctionArn"`

	Runtime, Handler, PackageType, State string
	Version, LastModified                string

	Timeout, MemorySize int

	Environment *functionEnvironment `json:",omitempty"`
}

type functionEnvironment struct{ Variables map[string]string }

// environment is what was set for a function. What Lambda itself sets is not shown.
func (f target) environment() *functionEnvironment {
	shown := map[string]string{}
	for _, pair := range f.Env {
		if name, value, ok := strings.Cut(pair, "="); ok && !strings.HasPrefix(name, "AWS_") {
			shown[name] = value
		}
	}
	if len(shown) == 0 {
		return nil
	}
	return &functionEnvironment{shown}
}

func (f target) entry() functionEntry {
	return functionEntry{
		FunctionName: f.Name, FunctionARN: f.arn, Runtime: "provided.al2023", Handler: "bootstrap", PackageType: "Zip",
		State: "Active", Version: lambdaVersion, LastModified: f.registered.UTC().Format("2006-01-02T15:04:05.000-0700"),
		Timeout: int(f.Timeout.Seconds()), MemorySize: f.memory(), Environment: f.environment(),
	}
}

type functionList struct {
	Functions  []functionEntry
	NextMarker string `json:",omitempty"`
}

// serveList serves ListFunctions. A marker is the last name of the page before.
func (l lambdaCalls) serveList(w http.ResponseWriter, r *http.Request, _ string) error {
	if err := onlyParameters(r, "ListFunctions", "MaxItems", "Marker"); err != nil {
		return err
	}
	size, q := functionsPage, r.URL.Query()
	if asked := q.Get("MaxItems"); asked != "" {
		n, err := strconv.Atoi(asked)
		if err != nil || n < 1 || n > maxFunctions {
			return refuse("InvalidParameterValueException", "MaxItems must be between 1 and %d, not %s", maxFunctions, asked)
		}
		size = min(n, functionsPage)
	}
	out := functionList{Functions: []functionEntry{}}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(l.byName)) {
		if name <= q.Get("Marker") {
			continue
		}
		if len(out.Functions) == size {
			out.NextMarker = out.Functions[size-1].FunctionName
			break
		}
		out.Functions = append(out.Functions, target{l.byName[name], functionARN(name)}.entry())
	}
	return writeJSON(w, http.StatusOK, "application/json", out)
}

func (l lambdaCalls) serveConfiguration(w http.ResponseWriter, r *http.Request, name string) error {
	if err := onlyParameters(r, "GetFunctionConfiguration", "Qualifier"); err != nil {
		return err
	}
	found, err := l.find(name)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, "application/json", found.entry())
}

// An accountEntry is what Lambda says of the whole account.
type accountEntry struct{ AccountLimit accountLimit }

type accountLimit struct{ ConcurrentExecutions int }

func (l lambdaCalls) serveAccount(w http.ResponseWriter, r *http.Request, _ string) error {
	if err := onlyParameters(r, "GetAccountSettings"); err != nil {
		return err
	}
	l.told.mu.Lock()
	defer l.told.mu.Unlock()
	return writeJSON(w, http.StatusOK, "application/json", accountEntry{accountLimit{cmp.Or(l.told.account, newAccount)}})
}

func refuseLambda(w http.ResponseWriter, _ *http.Request, no *refusal) {
	w.Header().Set("X-Amzn-Errortype", no.Code)
	body := map[string]string{"Type": "User", "Message": no.Message}
	if no.Reason != "" {
		body["Reason"] = no.Reason
	}
	_ = writeJSON(w, max(no.Status, http.StatusBadRequest), "application/json", body)
}
