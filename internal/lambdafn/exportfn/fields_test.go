package exportfn

import (
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/lambdafn"
)

// faultsOf returns the faults of one setting, loaded as the function and
// the command line load them.
func faultsOf(t *testing.T, name, value string) (Settings, string) {
	t.Helper()
	s, err := lambdafn.Load[Settings](lambdafn.Environ{Vars: map[string]string{
		"HIKYAKU_PREFIX": "shop", "HIKYAKU_BUCKET": "lake", "AWS_REGION": "ap-northeast-1",
		"AWS_ACCESS_KEY_ID": "invented", "AWS_SECRET_ACCESS_KEY": "invented", name: value,
	}})
	if err == nil {
		return s, ""
	}
	_, faults, _ := strings.Cut(err.Error(), "\n  ")
	return s, faults
}

func TestFields_WrongSyntaxIsAnsweredWithTheRightOne(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"email":                                          `"email" names no dataset; write dataset:field, such as shopline/customers:email`,
		"shopline/customers":                             `"shopline/customers" names no field; write shopline/customers:field, such as shopline/customers:email`,
		"shopline/customers:":                            `"shopline/customers:" names no field; write shopline/customers:field, such as shopline/customers:email`,
		"shopline/customer:email":                        `"shopline/customer" names no dataset; did you mean shopline/customers:email?`,
		"SHOPLINE/Customers:email":                       `"SHOPLINE/Customers" names no dataset; did you mean shopline/customers:email?`,
		"shopline_customers:email":                       `"shopline_customers" names no dataset; did you mean shopline/customers:email?`,
		"appointments:email":                             `"appointments" names no dataset; did you mean supersaas/appointments:email?`,
		"users:email":                                    `"users" names no dataset; did you mean yappli/users:email or supersaas/users:email?`,
		`"yappli/users":login_id`:                        `"\"yappli/users\"" names no dataset; did you mean yappli/users:login_id?`,
		"yapli/users":                                    `"yapli/users" names no dataset; did you mean yappli/users:field?`,
		"shopline/customers.email":                       `"shopline/customers.email": a colon separates dataset and field; did you mean shopline/customers:email?`,
		"yappli/users login_id":                          `"yappli/users login_id": a colon separates dataset and field; did you mean yappli/users:login_id?`,
		"yappli/users=login_id":                          `"yappli/users=login_id": a colon separates dataset and field; did you mean yappli/users:login_id?`,
		"products/all:email":                             `"products/all" names no dataset; known are yappli/users, supersaas/users, supersaas/appointments, shopline/customers, shopline/orders, assisttencho/orders`,
		"shopline/customers:email;phone":                 `"phone" names no dataset; the fields of one dataset are separated by commas, as in shopline/customers:email,phone`,
		"shopline/customers:email,yappli/users:login_id": `"yappli/users:login_id" is no field of shopline/customers; datasets are separated by semicolons, as in shopline/customers:email; yappli/users:login_id`,
		"shopline/customers：email":                       `"shopline/customers：email" holds a full-width "："; write ":"`,
		"shopline/customers:email、phones":                `"shopline/customers:email、phones" holds a full-width "、"; write ","`,
		"shopline/customers:memo??":                      `"memo??": one question mark may follow a field, to say that it is rare, as in shopline/customers:memo?`,
		"shopline/customers:a?b":                         `"a?b": one question mark may follow a field, to say that it is rare, as in shopline/customers:memo?`,
		"email,phones":                                   `"email,phones" names no dataset; write dataset:field, such as shopline/customers:email,phones`,
		"shopline/customers:?memo":                       `"?memo": one question mark may follow a field, to say that it is rare, as in shopline/customers:memo?`,
		strings.Repeat("x", 100):                         `"` + strings.Repeat("x", 60) + `..." names no dataset; write dataset:field, such as shopline/customers:` + strings.Repeat("x", 60) + `...`,
	} {
		for _, name := range []string{"HIKYAKU_EXPORT_HASH", "HIKYAKU_EXPORT_DROP"} {
			if _, got := faultsOf(t, name, value); got != name+": "+want {
				t.Errorf("%s=%s answers\n%s, want\n%s", name, value, got, want)
			}
		}
	}
}

// What is wrong with a path itself is said with its dataset.
func TestFields_NamesThePathThatIsWrong(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"shopline/customers:a..b":         `shopline/customers: "a..b" is not a path such as "customer.email"`,
		"shopline/customers:a,a?":         "shopline/customers: a is named twice",
		"shopline/customers:id?":          "shopline/customers: id cannot be dropped or hashed: the export finds its place by it",
		"yappli/users:a;yappli/users:a.b": "yappli/users: a.b is inside a, which is dropped or hashed as a whole",
	} {
		if _, got := faultsOf(t, "HIKYAKU_EXPORT_HASH", value); got != "HIKYAKU_EXPORT_DROP, HIKYAKU_EXPORT_HASH: "+want {
			t.Errorf("%s answers\n%s, want\n%s", value, got, want)
		}
	}
}

func TestFields_KeepTheQuestionMarkOfARareOne(t *testing.T) {
	t.Parallel()
	s, faults := faultsOf(t, "HIKYAKU_EXPORT_DROP", " shopline/customers : email, memo ? ,delivery_addresses.remarks?;; yappli/users:login_id ;")
	if faults != "" {
		t.Fatal(faults)
	}
	all, _ := s.fields()
	if got, want := all["shopline/customers"].Drop, []string{"email", "memo?", "delivery_addresses.remarks?"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := all["yappli/users"].Drop; !slices.Equal(got, []string{"login_id"}) {
		t.Errorf("got %q", got)
	}
}

func TestDatasets_ANameThatIsNoneIsAnsweredWithTheNearest(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"shopline/order": `"shopline/order" is no dataset; did you mean shopline/orders?`,
		"orders":         `"orders" is no dataset; did you mean shopline/orders or assisttencho/orders?`,
		"everything":     `"everything" is no dataset; known are yappli/users, supersaas/users, supersaas/appointments, shopline/customers, shopline/orders, assisttencho/orders`,
	} {
		if _, got := faultsOf(t, "HIKYAKU_EXPORT_DATASETS", value); got != "HIKYAKU_EXPORT_DATASETS: "+want {
			t.Errorf("%q answers\n%s, want\n%s", value, got, want)
		}
	}
}
