package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// What was answered before a stack died. Each value is a number that only grows, so that
// what came after it is as good.
type acknowledged struct {
	mu sync.Mutex

	edits   map[int64]int // by user
	told    map[int64]int // edits of which a webhook was answered 200
	secrets map[string]int
	objects map[string]int

	answers int
}

func newAcknowledged() *acknowledged {
	return &acknowledged{edits: map[int64]int{}, told: map[int64]int{}, secrets: map[string]int{}, objects: map[string]int{}}
}

func (a *acknowledged) note(to func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers++
	to()
}

// nameOf is a user's name with a number in it.
func nameOf(n int) string { return fmt.Sprintf("花子 %d 世", n) }

// numberOf is the number in a name; 0 of one that has none.
func numberOf(name string) int {
	parts := strings.Fields(name)
	if len(parts) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(parts[1])
	return n
}

// devAWS is the local AWS of a stack, called once: what is not answered is not known.
func (d *devRun) devAWS() aws.Config {
	return aws.Config{
		Region: awslocal.Region, BaseEndpoint: aws.String(d.Vars["AWS_ENDPOINT_URL"]), Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} }, HTTPClient: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

func (d *devRun) buckets() *s3.Client {
	return s3.NewFromConfig(d.devAWS(), func(o *s3.Options) { o.UsePathStyle = true })
}

// load changes what it can until ctx ends, and notes what was acknowledged.
func (d *devRun) load(ctx context.Context, users []int64, a *acknowledged) {
	var all sync.WaitGroup
	work := func(pause time.Duration, do func(n int)) {
		all.Go(func() {
			for ctx.Err() == nil {
				do(int(time.Now().UnixNano() / 1000 % 1_000_000_000_000))
				time.Sleep(pause)
			}
		})
	}
	for i := range 2 {
		work(15*time.Millisecond, func(n int) {
			own := users[i*len(users)/2 : (i+1)*len(users)/2] // so that nobody else changes them meanwhile
			user := own[rand.IntN(len(own))]
			if status, err := d.edit(user, nameOf(n)); err != nil || status != http.StatusOK {
				return
			}
			a.note(func() { a.edits[user] = n })
			if status, err := d.webhook(user); err == nil && status == http.StatusOK {
				a.note(func() { a.told[user] = n })
			}
		})
	}
	work(10*time.Millisecond, func(n int) {
		name := fmt.Sprintf("prove/%d", n%5)
		client := secretsmanager.NewFromConfig(d.devAWS())
		_, err := client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: aws.String(strconv.Itoa(n))})
		if err != nil {
			_, err = client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(strconv.Itoa(n))})
		}
		if err == nil {
			a.note(func() { a.secrets[name] = n })
		}
	})
	work(10*time.Millisecond, func(n int) {
		key := fmt.Sprintf("prove/%d", n%5)
		if _, err := d.buckets().PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(awslocal.Bucket), Key: &key, Body: strings.NewReader(strconv.Itoa(n))}); err == nil {
			a.note(func() { a.objects[key] = n })
		}
	})
	all.Wait()
}

// lost names what was acknowledged and is not there.
func (d *devRun) lost(t *testing.T, a *acknowledged) (lost []string) {
	t.Helper()
	missing := func(what string, have, want int) {
		if have < want {
			lost = append(lost, fmt.Sprintf("%s is %d, and was %d", what, have, want))
		}
	}
	users := d.users(t)
	for user, n := range a.edits {
		missing(fmt.Sprintf("the user %d", user), numberOf(users[user]), n)
	}
	for name, n := range a.secrets {
		have := 0
		if got, err := secretsmanager.NewFromConfig(d.devAWS()).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name}); err == nil {
			have, _ = strconv.Atoi(aws.ToString(got.SecretString))
		}
		missing("the secret "+name, have, n)
	}
	for key, n := range a.objects {
		have := 0
		if got, err := d.buckets().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(awslocal.Bucket), Key: &key}); err == nil {
			text, _ := io.ReadAll(got.Body)
			have, _ = strconv.Atoi(string(bytes.TrimSpace(text)))
		}
		missing("the object "+key, have, n)
	}
	return lost
}

// drained waits until the queue is empty, and returns what is in it if that takes too long.
func (d *devRun) drained(t *testing.T, name string) (left string) {
	t.Helper()
	url := d.Vars["AWS_ENDPOINT_URL"] + "/" + awslocal.Account + "/" + name
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		out, err := sqs.NewFromConfig(d.devAWS()).GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		}})
		if err != nil {
			t.Fatal(err)
		}
		if left = fmt.Sprint(out.Attributes); !slices.ContainsFunc([]string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}, func(digit string) bool { return strings.Contains(left, digit) }) {
			return ""
		}
	}
	return left
}

// settled waits until the members of a new stack are those of its users, which its first
// comparison makes, so that no later one hides what a webhook should have done.
func (d *devRun) settled(t *testing.T) (users []int64) {
	t.Helper()
	names := d.users(t)
	for end := time.Now().Add(60 * time.Second); len(d.members(t)) < len(names); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d users have members: %s", len(d.members(t)), len(names), d.notes.String())
		}
	}
	for user := range names {
		users = append(users, user)
	}
	slices.Sort(users)
	return users
}

// However a stack under load is ended, and whenever, nothing that it has acknowledged is
// lost: edits, secrets and objects are there at the next start, and each webhook that was
// answered 200 has had its effect in the end.
func TestDev_LosesNothing(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	random := rand.New(rand.NewPCG(prove.Seed(), 15))
	home, a := newDevHome(t), newAcknowledged()
	d := home.start(t, "--records", "20")
	users := d.settled(t)
	signals := map[os.Signal]int{}
	for range prove.Size(100, 2) {
		d.dies(t, users, a, random, signals)
		d = home.start(t)
		if lost := d.lost(t, a); len(lost) > 0 {
			t.Fatalf("after %v: %v", signals, lost)
		}
	}
	if code := d.end(t, os.Interrupt); code != 0 {
		t.Errorf("Ctrl-C ends it with %d: %s", code, d.notes.String())
	}
	d = home.start(t, "--speed", "600") // what a killed function held is free again after a minute or two
	left := d.drained(t, localstack.Queue)
	members, without := d.members(t), 0
	for user, n := range a.told {
		if numberOf(members[user]) < n {
			without++
			t.Errorf("the member of %d is %q, and a webhook told of %d", user, members[user], n)
		}
	}
	dead := d.drained(t, localstack.DeadLetter)
	prove.Figure(t, left == "" && dead == "" && without == 0 && a.answers > 50*len(signals), "acknowledged by a development stack that was killed, and lost", "none", "0 of %d, over %v", a.answers, signals)
}

// dies loads the stack for a while, and ends it by one of both signals.
func (d *devRun) dies(t *testing.T, users []int64, a *acknowledged, random *rand.Rand, signals map[os.Signal]int) {
	t.Helper()
	with, after := os.Signal(syscall.SIGKILL), time.Duration(100+random.IntN(1500))*time.Millisecond
	if random.IntN(3) == 0 {
		with = os.Interrupt
	}
	signals[with]++
	ctx, cancel := context.WithCancel(t.Context())
	var loading sync.WaitGroup
	loading.Go(func() { d.load(ctx, users, a) })
	time.Sleep(after)
	code := d.end(t, with)
	cancel()
	loading.Wait()
	if with == os.Interrupt && code != 0 {
		t.Errorf("Ctrl-C ends it with %d: %s", code, d.notes.String())
	}
}

// The proof would notice: where the commits of the last while are taken away, it finds
// what is lost.
func TestDev_WouldSeeALoss(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	home, a := newDevHome(t), newAcknowledged()
	d := home.start(t, "--records", "4")
	users := d.settled(t)
	d.end(t, syscall.SIGKILL)
	state := filepath.Join(home.dir(), "state.bolt")
	before, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	d = home.start(t)
	d.dies(t, users, a, rand.New(rand.NewPCG(0, 0)), map[os.Signal]int{})
	if err := os.WriteFile(state, before, 0o600); err != nil {
		t.Fatal(err)
	}
	lost := strings.Join(home.start(t).lost(t, a), "\n")
	for _, what := range []string{"the user", "the secret", "the object"} {
		if !strings.Contains(lost, what) {
			t.Errorf("without the commits of %d answers this is lost, and %s is not among it:\n%s", a.answers, what, lost)
		}
	}
}
