package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hikyaku/internal/locale"
	"hikyaku/internal/webhookrelay/tenant"
)

// A choice is one thing that a shop decides before its first deployment.
type choice struct {
	flag, parameter string // parameter is empty: it is no parameter of the template
	asks            string
	usual           string
	check           func(string) error
}

// choices are those that cannot be changed later, or that everybody needs. All others
// are in docs/settings.md.
func choices(name string) []choice {
	return []choice{
		{"region", "", "AWS region", "ap-northeast-1", matching(`^[a-z]{2}(-[a-z]+)+-\d$`, "a region such as ap-northeast-1 (Tokyo), ap-east-1 (Hong Kong) or ap-east-2 (Taipei)")},
		{"prefix", "Prefix", "Name that leads the shop's secrets and keys", strings.ToLower(name), matching(`^[a-z0-9][a-z0-9-]{0,30}$`, "up to 31 small letters, digits and hyphens")},
		{"time-zone", "TimeZone", "Time zone of the date folders of exports", "Asia/Tokyo", zone},
		{"identity", "Identity", "What a member's unique_id is made of, for good: id, fk, super_field, or a field that customers edit", "id", func(v string) error { return tenant.Identity{By: v}.Validate() }},
		{"identity-prefix", "IdentityPrefix", "What stands before it, for good", "ss-", matching(`^[!-~]{0,64}$`, "up to 64 letters, digits and signs, and no blank")},
		{"mail", "AlarmMail", "Address that is told of alarms; empty: nobody", "", matching(`^([^@\s"]+@[^@\s"]+)?$`, "an address such as ops@shop.example")},
	}
}

func matching(pattern, what string) func(string) error {
	expression := regexp.MustCompile(pattern)
	return func(v string) error {
		if expression.MatchString(v) && !strings.ContainsAny(v, `"\ `) {
			return nil
		}
		return locale.Errorf("expected %s", locale.T(what))
	}
}

func zone(v string) error {
	if _, err := time.LoadLocation(v); err != nil || v == "" || v == "Local" {
		return locale.Errorf("expected an IANA time zone such as Asia/Tokyo, Asia/Taipei or Asia/Hong_Kong")
	}
	return nil
}

func newInit() *cobra.Command {
	given := map[string]*string{}
	var yes identityConsent
	var o output
	c := &cobra.Command{
		Use:   "init STACK",
		Short: "Write samconfig.STACK.toml, with which a shop's stack is deployed",
		Long: "Asks what has to be decided before the first deployment, and writes samconfig.STACK.toml in this folder:\n" +
			"the shop's own file, which git ignores and no upgrade touches. The relay begins in observe mode, which\n" +
			"writes nothing to Yappli. Without a terminal the flags and the usual values count. A file that is there\n" +
			"stays. docs/settings.md lists what else can stand in it.",
		Example: "  hikyaku init hikyaku\n  hikyaku init shop-two --region ap-east-1 --time-zone Asia/Hong_Kong --mail ops@shop.example",
		Args:    one,
		RunE: func(c *cobra.Command, a []string) error {
			if err := matching(`^[A-Za-z][A-Za-z0-9-]{0,40}$`, "a letter, then up to 40 letters, digits and hyphens")(a[0]); err != nil {
				return &usageError{locale.Errorf("the stack's name %s: %w", visible(a[0]), err)}
			}
			answers, err := decide(c, choices(a[0]), given)
			if err != nil {
				return err
			}
			consents, err := yes.of(answers)
			if err != nil {
				return &usageError{err}
			}
			file := "samconfig." + a[0] + ".toml"
			if err := create(file, samconfig(a[0], answers, consents)); err != nil {
				return err
			}
			return o.say(c, map[string]string{"file": file}, "%s written. Keep it where the shop's other papers are; it holds no secret.\nNext: sam build && sam deploy --config-file %s\nThen: export HIKYAKU_STACK=%s, and hikyaku connect PROVIDER", file, file, a[0])
		},
	}
	for _, ch := range choices("STACK") {
		usual := ch.usual
		if ch.flag == "prefix" {
			usual = "the stack's name"
		}
		given[ch.flag] = c.Flags().String(ch.flag, "", fmt.Sprintf("%s (usual: %s)", ch.asks, cmp.Or(usual, "empty")))
	}
	o.add(c)
	c.Flags().BoolVar(&yes.editable, "identity-editable", false, "the identity may be a field that customers edit")
	c.Flags().BoolVar(&yes.unprefixed, "id-is-unique-id", false, "the shop's unique_ids are SuperSaaS ids, so that the identity id needs no prefix")
	return c
}

// An identityConsent is a person's yes to an identity by which one may get another's member.
type identityConsent struct{ editable, unprefixed bool }

// of returns the parameters that say yes where the identity needs one.
func (y identityConsent) of(answers map[string]string) ([]string, error) {
	switch identity := answers["identity"]; {
	case slices.Contains(tenant.EditableFields(), identity) && !y.editable:
		return nil, locale.Errorf("customers can edit %s: who types somebody else's asks for that one's member, and the first who types a new one owns its member. "+
			"Choose id, fk or super_field, or add --identity-editable", identity)
	case slices.Contains(tenant.EditableFields(), identity):
		return []string{"IdentityEditable=yes"}, nil
	case identity != "id" || answers["identity-prefix"] != "":
		return nil, nil
	case !y.unprefixed:
		return nil, locale.Errorf("without a prefix a member whose unique_id happens to be a number would be taken for the user of that number. " +
			"Give --identity-prefix such as ss-, or add --id-is-unique-id if the shop's unique_ids are SuperSaaS ids")
	}
	return []string{"IdIsUniqueId=yes"}, nil
}

// decide takes each choice from its flag, else from the person at the terminal, else
// as usual.
func decide(c *cobra.Command, list []choice, given map[string]*string) (map[string]string, error) {
	answers := map[string]string{}
	file, onTerminal := c.InOrStdin().(*os.File)
	onTerminal = onTerminal && term.IsTerminal(int(file.Fd()))
	terminal := tty{file: file, lines: bufio.NewReader(c.InOrStdin())}
	var faults []error
	for _, ch := range list {
		value, flagged := *given[ch.flag], c.Flags().Changed(ch.flag)
		switch {
		case flagged:
		case onTerminal:
			var err error
			if value, err = askFor(c, terminal, ch); err != nil {
				return nil, err
			}
		default:
			value = ch.usual
		}
		if err := ch.check(value); err != nil {
			faults = append(faults, locale.Errorf("--%s %s: %w", ch.flag, visible(value), err))
		}
		answers[ch.flag] = value
	}
	if len(faults) > 0 {
		return nil, &usageError{errors.Join(faults...)}
	}
	return answers, nil
}

// askFor asks until the answer is one, or often enough.
func askFor(c *cobra.Command, t terminal, ch choice) (string, error) {
	for range rounds {
		_, _ = io.WriteString(c.ErrOrStderr(), languageOf(c.ErrOrStderr()).Sprintf("%s [%s]: ", locale.T(ch.asks), ch.usual))
		value, err := t.line(c.Context())
		if err != nil {
			return "", err
		}
		if value == "" {
			value = ch.usual
		}
		fault := ch.check(value)
		if fault == nil {
			return value, nil
		}
		say(c.ErrOrStderr(), "  %v", fault)
	}
	return "", locale.Errorf("no answer to %q after %d tries; nothing was written", ch.flag, rounds)
}

// samconfig is the file of a stack.
func samconfig(name string, answers map[string]string, consents []string) string {
	var overrides []string
	for _, ch := range choices(name) {
		if value := answers[ch.flag]; ch.parameter != "" && value != "" {
			overrides = append(overrides, ch.parameter+"="+value)
		}
	}
	overrides = append(overrides, consents...)
	overrides = append(overrides, "RelayMode=observe")
	return fmt.Sprintf(`# The stack %[1]s: sam build && sam deploy --config-file samconfig.%[1]s.toml
# Change a setting here and deploy again; docs/settings.md has all of them. Identity
# and IdentityPrefix name the members, and stay as they are.
version = 0.1

[default.global.parameters]
stack_name = "%[1]s"
region = "%[2]s"

[default.deploy.parameters]
capabilities = "CAPABILITY_IAM CAPABILITY_AUTO_EXPAND"
confirm_changeset = true
resolve_s3 = true
fail_on_empty_changeset = false
tags = "application=hikyaku"
parameter_overrides = "%[3]s"
`, name, answers["region"], strings.Join(overrides, " "))
}

// create writes a file that is not there yet.
func create(name, content string) error {
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // it holds no secret
	if errors.Is(err, os.ErrExist) {
		return locale.Errorf("%s exists and stays as it is: edit it, or choose another name: %w", name, os.ErrExist)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, content)
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(name)) // half a file would be in the next one's way
	}
	return nil
}
