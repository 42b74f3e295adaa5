package awslocal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"hikyaku/internal/secretstore"
)

// A refusal is an AWS error.
type refusal struct {
	Status  int // 0: 400
	Code    string
	Message string
	Query   string // SQS: the code of the older query protocol, which SDKs still report
	Reason  string // Lambda: why throttled
}

// Error names the code and the reason.
func (r *refusal) Error() string { return r.Code + ": " + r.Message }

func refuse(code, format string, args ...any) *refusal {
	return &refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// refused makes what the fake of Secrets Manager refuses a refusal.
func refused(err error) error {
	if fault, ok := errors.AsType[*secretstore.Fault](err); ok {
		return &refusal{Code: fault.Code, Message: fault.Message}
	}
	return err
}

// A service is one AWS service behind the count of calls and their faults.
type service struct {
	name      string
	operation func(*http.Request) string
	serve     func(w http.ResponseWriter, r *http.Request, operation string) error
	refuse    func(w http.ResponseWriter, r *http.Request, no *refusal)
	throttled refusal
	failed    refusal
}

type services struct {
	s3, lambda, scheduler, unknown service

	byQuery map[string]service // by the service that a request is signed for; "": any other

	byTarget map[string]service // by the prefix of X-Amz-Target
}

func (a *AWS) newServices() services {
	manager := &secretsManager{fake: a.Secrets, notes: a.notes, functions: a.functions, now: a.now}
	secrets := jsonService{name: "secretsmanager", version: "1.1", operations: manager.operations()}
	sqs := jsonService{name: "sqs", version: "1.0", namespace: "com.amazonaws.sqs#", operations: a.queues.operations()}
	states := jsonService{name: "states", version: "1.0", operations: map[string]jsonOperation{"ListExecutions": operation(a.Told.machines.listExecutions), "StartExecution": operation(a.Told.machines.start)}}
	logs := jsonService{name: "logs", version: "1.1", operations: map[string]jsonOperation{"FilterLogEvents": operation(a.Told.logs.filter)}}
	events := jsonService{name: "events", version: "1.1", operations: map[string]jsonOperation{"PutEvents": operation(a.events.put)}}
	return services{
		s3: a.objects.service(), lambda: lambdaCalls{a.functions, a.sources, a.Told}.service(), scheduler: a.schedules.service(), unknown: unknownService(),
		byQuery: map[string]service{
			"sts": queryService("sts", callerIdentity), "cloudformation": queryService("cloudformation", a.Told.stacks.operations()), "": queryService("query", nil),
			"monitoring": queryService("cloudwatch", a.Told.watch.operations()), "sns": queryService("sns", a.Told.topics.operations()),
		},
		byTarget: map[string]service{"secretsmanager": secrets.service(), "AmazonSQS": sqs.service(), "AWSEvents": events.service(), "AWSStepFunctions": states.service(), "Logs_20140328": logs.service()},
	}
}

// route finds a request's service: by its target header, by Lambda's paths, by
// the service that it was signed for. What remains is S3.
func (s services) route(r *http.Request) service {
	if target, _, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		if found, ok := s.byTarget[target]; ok {
			return found
		}
		return s.unknown
	}
	if strings.HasPrefix(r.URL.Path, functionsPath) || strings.HasPrefix(r.URL.Path, sourcesPath) || strings.HasPrefix(r.URL.Path, accountPath) {
		return s.lambda
	}
	if signedFor(r) == "scheduler" {
		return s.scheduler
	}
	if isQuery(r) {
		if found, ok := s.byQuery[signedFor(r)]; ok {
			return found
		}
		return s.byQuery[""]
	}
	if scope := signedFor(r); scope != "" && scope != "s3" || r.Method == http.MethodPost && r.URL.Path == "/" {
		return s.unknown
	}
	return s.s3
}

// signedFor returns the service in the scope of the signature, such as "sts";
// empty if the request is not signed.
func signedFor(r *http.Request) string {
	_, scope, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		scope = r.URL.Query().Get("X-Amz-Credential")
	}
	if parts := strings.SplitN(scope, "/", 5); len(parts) == 5 {
		return parts[3]
	}
	return ""
}

// xmlServices are those that speak XML without being asked by a query call.
var xmlServices = []string{"route53", "cloudfront"}

func unknownService() service {
	s := jsonService{name: "unknown", version: "1.1"}.service()
	inJSON := s.refuse
	s.refuse = func(w http.ResponseWriter, r *http.Request, no *refusal) {
		if slices.Contains(xmlServices, signedFor(r)) {
			refuseQuery(w, r, no)
			return
		}
		inJSON(w, r, no)
	}
	s.serve = func(_ http.ResponseWriter, r *http.Request, _ string) error {
		name := cmp.Or(r.Header.Get("X-Amz-Target"), strings.TrimSpace(signedFor(r)+" "+r.Method+" "+r.URL.Path))
		return refuse(unknownOperation, "%s is not served here; %s", name, whatIsServed)
	}
	return s
}

const whatIsServed = "the local AWS serves s3, secretsmanager, sqs (JSON protocol), lambda, scheduler GetSchedule and UpdateSchedule, events PutEvents, sts GetCallerIdentity, cloudformation DescribeStacks and ListStackResources, cloudwatch DescribeAlarms and GetMetricStatistics, sns ListSubscriptionsByTopic and Publish, states ListExecutions and StartExecution, and logs FilterLogEvents"

const unknownOperation = "UnknownOperationException"

// A jsonOperation answers one operation of an AWS JSON service.
type jsonOperation func(r *http.Request, body []byte) (any, error)

// operation makes one of a typed function. Parameters that In does not have
// are refused by name.
func operation[In, Out any](f func(*http.Request, In) (Out, error)) jsonOperation {
	return func(r *http.Request, body []byte) (any, error) {
		var in In
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) || errors.Is(err, io.EOF) {
				return nil, refuse("SerializationException", "the body is not JSON")
			}
			return nil, refuse("InvalidParameterException", "the local AWS does not serve this parameter or value: %s", strings.TrimPrefix(err.Error(), "json: "))
		}
		return f(r, in)
	}
}

// A jsonService speaks the AWS JSON protocol.
type jsonService struct {
	name       string
	version    string // of the protocol
	namespace  string // before error codes
	operations map[string]jsonOperation
}

// maxJSON caps a request of a JSON service; SQS's batch of 1 MiB is the largest.
const maxJSON = 4 << 20

func (j jsonService) service() service {
	return service{
		name: j.name,
		operation: func(r *http.Request) string {
			_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
			return operation
		},
		serve: j.serve, refuse: j.refuse,
		throttled: refusal{Code: "ThrottlingException", Message: "rate exceeded (injected fault)", Query: "RequestThrottled;Sender"},
		failed:    refusal{Status: http.StatusInternalServerError, Code: "InternalServiceError", Message: "internal failure (injected fault)"},
	}
}

func (j jsonService) serve(w http.ResponseWriter, r *http.Request, name string) error {
	run, ok := j.operations[name]
	if !ok {
		return refuse(unknownOperation, "the local AWS does not serve %s %s; it serves %s", j.name, name, list(j.operations))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxJSON))
	if err != nil {
		return refuse("SerializationException", "the body cannot be read or is above %d bytes", maxJSON)
	}
	answer, err := run(r, body)
	if err != nil {
		return refused(err)
	}
	return j.write(w, http.StatusOK, answer)
}

func (j jsonService) refuse(w http.ResponseWriter, _ *http.Request, no *refusal) {
	if no.Query != "" {
		w.Header().Set("X-Amzn-Query-Error", no.Query)
	}
	_ = j.write(w, max(no.Status, http.StatusBadRequest), map[string]string{"__type": j.namespace + no.Code, "message": no.Message})
}

func (j jsonService) write(w http.ResponseWriter, status int, answer any) error {
	return writeJSON(w, status, "application/x-amz-json-"+j.version, answer)
}

func writeJSON(w http.ResponseWriter, status int, mediaType string, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

// list names what is served, for refusals.
func list[V any](served map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(served)), ", ")
}
