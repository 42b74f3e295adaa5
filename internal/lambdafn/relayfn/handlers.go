package relayfn

import (
	"context"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"hikyaku/internal/webhookrelay/ingest"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/internal/webhookrelay/relay"
	"hikyaku/pkg/providers"
)

// answerWithin is how long a webhook waits for the queue or the secret: less
// than its sender may wait, and than the function lives, so that it is answered.
const answerWithin = 4 * time.Second

// accept answers one webhook. The route's path ends in {secret}.
func (f *Function) accept(ctx context.Context, e kind) events.APIGatewayV2HTTPResponse {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	body := []byte(e.Body)
	if e.Base64 {
		// One byte above the cap is enough to refuse it.
		e.Body = e.Body[:min(len(e.Body), base64.StdEncoding.EncodedLen(ingest.MaxBody+3))]
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return answer(f.ingest.Reject("wrong_shape"))
		}
	}
	request := ingest.Request{ID: e.Context.RequestID, Secret: providers.NewSecret(e.Parameters["secret"]), Body: body}
	if e.Context.Epoch > 0 {
		request.At = time.UnixMilli(e.Context.Epoch)
	}
	return answer(f.ingest.Accept(ctx, request))
}

func answer(r ingest.Response) events.APIGatewayV2HTTPResponse {
	headers := map[string]string{"content-type": "text/plain; charset=utf-8"}
	if r.RetryAfter > 0 {
		headers["retry-after"] = strconv.Itoa(int(r.RetryAfter.Seconds()))
	}
	return events.APIGatewayV2HTTPResponse{StatusCode: r.Status, Headers: headers, Body: r.Text}
}

// A record is one message of a batch.
type record struct {
	Source     string            `json:"eventSource"`
	ID         string            `json:"messageId"`
	Receipt    string            `json:"receiptHandle"`
	Body       string            `json:"body"`
	Attributes map[string]string `json:"attributes"`
}

// relay handles one batch. Without tokens the batch goes back to the queue, as
// it does whenever a provider is down.
func (f *Function) relay(ctx context.Context, e kind) events.SQSEventResponse {
	batch := make([]queue.Delivery, len(e.Records))
	for i, r := range e.Records {
		receives, _ := strconv.Atoi(r.Attributes["ApproximateReceiveCount"]) // absent counts as the first
		batch[i] = queue.Delivery{ID: r.ID, Receipt: r.Receipt, Receives: receives, Body: []byte(r.Body)}
	}
	var unfinished []string
	t, err := f.ready(ctx)
	if err == nil {
		unfinished = relay.New(t, f.dead, f.queue).Work(ctx, batch)
	} else {
		f.base.Log.ErrorContext(ctx, "relay not ready", "rows", len(batch), "err", err)
		if unfinished, err = relay.Defer(ctx, f.queue, batch, err); err != nil {
			f.base.Log.WarnContext(ctx, "batch not postponed", "err", err)
		}
	}
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for _, id := range unfinished {
		out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	return out
}

// A dryRun is the answer to a dry run.
type dryRun struct {
	Status      string                 `json:"status"` // dry_run
	Report      reconcile.Report       `json:"report"`
	Differences []reconcile.Difference `json:"differences"`
}

// off is the answer of a reconcile where one of the two providers is not
// connected: there is nothing to compare, and nobody to be woken for it.
var off = reconcile.Result{Status: "off"}

// reconcile does one invocation's part of a run.
func (f *Function) reconcile(ctx context.Context, e kind) (any, error) {
	for _, tokens := range f.tokens {
		connected, err := tokens.Connected(ctx)
		if err != nil {
			return nil, err
		}
		if !connected {
			return off, nil
		}
	}
	reconciler, err := f.Reconciler(ctx)
	if err != nil {
		return nil, err
	}
	if e.DryRun {
		report, differences, err := reconciler.DryRun(ctx)
		return dryRun{Status: "dry_run", Report: report, Differences: differences}, err
	}
	return reconciler.Run(ctx, e.OnlyIfWanted)
}
