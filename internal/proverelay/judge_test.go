package proverelay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// reconcile runs the loop to its end.
func (r *rig) reconcile() reconcile.Report {
	r.Helper()
	result, _, err := r.loop().run(r.ctx, `{"action":"reconcile"}`)
	if err != nil || result.Status != "done" || result.Report == nil {
		r.Fatalf("reconcile: %+v, %v", result, err)
	}
	return *result.Report
}

// waiting is how many messages a queue holds, visible or not.
func (r *rig) waiting(queue string) int {
	r.Helper()
	client := sqs.New(sqs.Options{
		BaseEndpoint: &r.aws.URL, Region: awslocal.Region, HTTPClient: r.aws.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	url := r.vars["HIKYAKU_QUEUE_URL"]
	if queue == dead {
		url = r.vars["HIKYAKU_DEAD_LETTER_QUEUE_URL"]
	}
	out, err := client.GetQueueAttributes(r.Context(), &sqs.GetQueueAttributesInput{QueueUrl: aws.String(url), AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		r.Fatal(err)
	}
	sum := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
		n, _ := strconv.Atoi(out.Attributes[name])
		sum += n
	}
	return sum
}

// drained waits until the queue is empty, and returns how long that took.
func (r *rig) drained(within time.Duration) time.Duration {
	r.Helper()
	began := time.Now()
	for r.waiting(users) > 0 {
		if time.Since(began) > within {
			r.Fatalf("%d messages are left after %s", r.waiting(users), within)
		}
		time.Sleep(5 * time.Second)
	}
	return time.Since(began)
}

// members are Yappli's, by unique_id and in the bytes of an answer; those of
// one unique_id lie side by side.
func (r *rig) members() map[string][]yapplitest.Member {
	all := map[string][]yapplitest.Member{}
	for _, m := range r.crm.Members() {
		all[m.Values["unique_id"]] = append(all[m.Values["unique_id"]], m)
	}
	return all
}

// wish is what the mapping makes of a user, as this package reads it.
func wish(raw []byte) (fields map[string]string, deleted bool) {
	var u struct {
		Email   *string `json:"email"`
		Name    *string `json:"full_name"`
		Field   *string `json:"field_2"`
		Deleted any     `json:"deleted"`
	}
	_ = json.Unmarshal(raw, &u)
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return map[string]string{"login_id": text(u.Email), "column01": text(u.Name), "column02": text(u.Field)}, u.Deleted != nil
}

// wrong lists, in short, every user whose member is not what it is to be. A
// user who is gone may have none.
func (r *rig) wrong(ids []int64) (faults []string) {
	members := r.members()
	for _, id := range ids {
		raw, _ := r.shop.User(id)
		want, deleted := wish(raw)
		found := members[fmt.Sprintf("ss-%d", id)]
		switch {
		case len(found) == 0 && deleted:
		case len(found) != 1:
			faults = append(faults, fmt.Sprintf("%d has %d members", id, len(found)))
		case (found[0].Values["enabled"] == "0") != deleted:
			faults = append(faults, fmt.Sprintf("%d: gone %t, enabled %s", id, deleted, found[0].Values["enabled"]))
		case !deleted:
			for name, value := range want {
				if found[0].Values[name] != value {
					faults = append(faults, fmt.Sprintf("%d: %s differs", id, name))
				}
			}
		}
	}
	return faults
}

// foreign are the bytes of the sandbox's invented members, who belong to no user.
func (r *rig) foreign() []byte {
	var b bytes.Buffer
	for _, m := range r.crm.Members() {
		if strings.HasPrefix(m.Values["unique_id"], "shop-") {
			b.Write(m.JSON())
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// ids are the numbers of all users there ever were.
func (r *rig) ids() (list []int64) {
	var document struct {
		Users   []struct{ ID int64 } `json:"users"`
		Deleted []struct{ ID int64 } `json:"deleted_users"`
	}
	var b bytes.Buffer
	if err := r.shop.Dump(&b); err != nil {
		r.Fatal(err)
	}
	if err := json.Unmarshal(b.Bytes(), &document); err != nil {
		r.Fatal(err)
	}
	for _, u := range append(document.Users, document.Deleted...) {
		list = append(list, u.ID)
	}
	return list
}

// put adds a member.
func (r *rig) put(values map[string]string) { r.crm.Put(yapplitest.Member{Values: values}) }
