package admin_test

import (
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"time"

	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

// crowd is a tenant whose shop has so many users, every tenth without a telephone.
func crowd(t testing.TB, users int) *tenant.Tenant {
	t.Helper()
	shop := supersaastest.New(sandbox.Options{Records: -1, Rate: -1})
	for n := range users {
		user := map[string]any{"name": fmt.Sprintf("u%d@mail.example", n), "email": fmt.Sprintf("u%d@mail.example", n), "full_name": fmt.Sprintf("見本 試子%d", n), "address": "東京都千代田区見本町1-2-3"}
		if n%10 != 0 {
			user["mobile"] = fmt.Sprintf("090-1000-%04d", n%10000)
		}
		shop.Quiet().AddUser(user)
	}
	o := &providers.Options{HTTP: shop.Client(), Limiter: providers.NewBreaker(providers.NewPace(1e6))}
	return &tenant.Tenant{
		Config: tenant.Config{Now: time.Now},
		Users:  supersaas.New(providers.Fixed(shop.Token("http://supersaas.test")), o),
	}
}

func parsed(t testing.TB, source string) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Parse("m", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	former = "options: {region: JP}\ncolumn01: full_name\ncolumn02: e164(mobile)\ncolumn03: email\n"
	latter = "options: {region: JP}\ncolumn01: full_name\ncolumn02: default(e164(mobile), \"-\")\ncolumn04: upper(left(email, 3)) + \" \" + address\n"
)

// What is counted from a snapshot is what is counted from the account, by any number of
// processors.
func TestSnapshot_CountsAsTheAccountDoes(t *testing.T) {
	t.Parallel()
	shop := crowd(t, prove.Size(4000, 700))
	shop.Mapping = parsed(t, latter)
	old := parsed(t, former)
	for _, before := range []*mapping.Mapping{old, nil} {
		told := 0
		s, err := admin.TakeSnapshot(t.Context(), shop, false, func(n int) { told = n })
		if err != nil {
			t.Fatal(err)
		}
		want, err := admin.CompareMappings(t.Context(), shop, before, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Count(t.Context(), shop.Mapping, before)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("a snapshot counts %+v, %v; the account %+v", got, err, want)
		}
		if got.Changed == 0 || told != s.Users() || got.Users != s.Users() || !s.Whole {
			t.Errorf("%d users told, %d held, whole %v: %+v", told, s.Users(), s.Whole, got)
		}
	}
}

// A person types: three people at once, and all within a moment.
func TestProveSnapshot_AtTypingSpeed(t *testing.T) {
	users := prove.Size(4000, 400)
	shop := crowd(t, users)
	s, err := admin.TakeSnapshot(t.Context(), shop, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	var subjects []admin.Subject
	for u := range s.Each() {
		if subjects = append(subjects, admin.Subject{User: u}); len(subjects) == 3 {
			break
		}
	}
	began := time.Now()
	trial, now := admin.Try("id", []byte(latter), subjects)
	three := time.Since(began)
	began = time.Now()
	change, err := s.Count(t.Context(), now, parsed(t, former))
	all := time.Since(began)
	if err != nil || len(trial.Users) != 3 || change.Users != users {
		t.Fatalf("%v: %+v of %+v", err, trial, change)
	}
	prove.Figure(t, three < 100*time.Millisecond, "a mapping tried on three people", "within 100 ms", "%v", three.Round(time.Microsecond))
	prove.Figure(t, all < 2*time.Second, fmt.Sprintf("a mapping counted on %d people, %d processors", users, runtime.GOMAXPROCS(0)), "within 2 s", "%v", all.Round(time.Millisecond))
}
