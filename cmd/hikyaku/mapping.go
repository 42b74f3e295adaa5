package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
)

func newMapping() *cobra.Command {
	c := &cobra.Command{
		Use:   "mapping",
		Short: "Write, check and publish the mapping from booking fields to Yappli fields",
		Long: "The mapping says what each field of a Yappli user is made of: a SuperSaaS field, or an expression over\n" +
			"several. The relay refuses to start without one, because no choice would be right for every shop.",
		Example: "  hikyaku mapping init --to mapping.yaml\n  hikyaku mapping try mapping.yaml --count\n  hikyaku mapping put mapping.yaml",
	}
	c.AddCommand(newMappingInit(), newMappingCheck(), newMappingTry(), newMappingShow(), newMappingSchema(), newMappingPut(), newMappingLog(), newMappingUndo())
	return c
}

func newMappingSchema() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema by which editors complete a mapping",
		Long: "A mapping's first line names " + mapping.SchemaFile + ", which editors that know YAML schemas look for beside\n" +
			"the mapping. 'mapping init --to' writes it there. With --json it is one line.",
		Example: "  hikyaku mapping schema > config/" + mapping.SchemaFile,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.print(c, json.RawMessage(mapping.Schema()), func(out io.Writer) error {
				_, err := out.Write(mapping.Schema())
				return err
			})
		},
	}
	o.add(c)
	return c
}

func newMappingInit() *cobra.Command {
	var f stackFlags
	var file string
	var o output
	c := &cobra.Command{
		Use:   "init",
		Short: "Print a starter mapping made from the account's field labels",
		Long: "Asks SuperSaaS for the account's fields and prints a mapping to edit, with every line commented out:\n" +
			"which field goes into which column is the shop's own decision, and the relay refuses to start without\n" +
			"one. Uses the token of the stack, so 'hikyaku connect supersaas' and one run of tokenrefresh come first.\n\n" +
			"--to writes it to a file that does not exist yet, and its schema beside it: unlike > FILE, that leaves\n" +
			"a mapping of yours alone, also when this command fails. With --json: source, the text, or files, which were\n" +
			"written.",
		Example: "  hikyaku mapping init --prefix hikyaku --bucket my-bucket --to mapping.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			_, base, err := f.open(c)
			if err != nil {
				return err
			}
			fields, err := supersaas.New(base.Tokens(providers.SuperSaaS), base.Options()).FieldList(c.Context(), 0)
			if err != nil {
				return locale.Errorf("reading the account's fields: %w", err)
			}
			if file == "" {
				return o.print(c, map[string]string{"source": string(starter(fields))}, func(out io.Writer) error {
					_, err := out.Write(starter(fields))
					return err
				})
			}
			written, err := writeNew(file, starter(fields))
			if err != nil {
				return err
			}
			return o.print(c, map[string][]string{"files": written}, func(out io.Writer) error {
				for _, name := range written {
					say(out, "%s written", name)
				}
				return nil
			})
		},
	}
	f.add(c)
	o.add(c)
	c.Flags().StringVar(&file, "to", "", "file to write; never one that exists (default: standard output)")
	alias(c, "out", "to")
	return c
}

// writeNew writes a mapping where none is, and its schema beside it unless one
// is there.
func writeNew(file string, source []byte) (written []string, err error) {
	schema := filepath.Join(filepath.Dir(file), mapping.SchemaFile)
	for _, w := range []struct {
		name    string
		content []byte
	}{{file, source}, {schema, mapping.Schema()}} {
		err := create(w.name, string(w.content))
		if errors.Is(err, os.ErrExist) && w.name == schema {
			continue
		}
		if err != nil {
			return written, err
		}
		written = append(written, w.name)
	}
	return written, nil
}

// starter has a line for each field that a mapping may use, beside a column that
// is still free.
func starter(fields []supersaas.Field) []byte {
	usable := mapping.SourceFields()
	var b strings.Builder
	b.WriteString(mapping.SchemaLine + "# What each Yappli field is made of: a request field of Yappli, then a SuperSaaS field or an\n" +
		"# expression over them. Take the # off the lines that you want, and change the columns to yours.\n" +
		"# Functions: " + strings.Join(mapping.Functions(), ", ") + "\n" +
		"# docs/mapping.md explains them. Try it with: hikyaku mapping check FILE --user ID\n" +
		"# The identity, of which unique_id is made, is a setting. One that customers may edit (email, name, phone,\n" +
		"# mobile, field_1, field_2) lets who types somebody else's ask for that one's member, and the first customer\n" +
		"# who types an address owns its member.\n" +
		"options:\n  zone: Asia/Tokyo # of date()\n  region: JP       # of e164() and domestic()\n  password: never\n\n" +
		"# login_id: email\n" +
		"# link_if: [COLUMN] # where HIKYAKU_LINK is match: columns that must agree before a member who exists is linked,\n" +
		"#                  # made of what customers cannot type, such as super_field\n")
	column := 1
	for _, field := range fields {
		if !slices.Contains(usable, field.Name) || field.Name == "password" {
			continue
		}
		label := visible(strings.Join(strings.Fields(field.Label), " "))
		fmt.Fprintf(&b, "# column%02d: %-12s # %s\n", column, field.Name, label)
		column++
	}
	return []byte(b.String())
}

func newMappingCheck() *cobra.Command {
	var f stackFlags
	var user int64
	var write, yes bool
	var o output
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Compile a mapping, and show what it makes of one user",
		Long: "Compiles the mapping and reports every fault with its line. With --user it reads that user from\n" +
			"SuperSaaS and their member from Yappli, writes nothing, and prints what the relay would send and which\n" +
			"fields would change. The output then holds that person's data.\n\n" +
			"With --write it also finds out, once you agree, what an update does to the fields that it omits: it\n" +
			"writes one field of the member with the value that it has, looks at the others, writes back what is\n" +
			"gone, and stores the quirk update, partial or replace, in Yappli's connection. The relay writes\n" +
			"nothing before that. Take a member made for tests: a password cannot be read, nor written back. If\n" +
			"the check is interrupted, a file in your state folder (~/.local/state/hikyaku) holds what was read; run\n" +
			"the command again, and it writes that back first.",
		Example: "  hikyaku mapping check config/mapping.yaml\n  hikyaku mapping check config/mapping.yaml --user 20450001\n" +
			"  hikyaku mapping check config/mapping.yaml --user 20450001 --write",
		Args: one,
		RunE: func(c *cobra.Command, a []string) error {
			if write && user == 0 {
				return &usageError{locale.Errorf("--write needs --user ID: the user whose member is written")}
			}
			source, err := readMapping(c, a[0])
			if err != nil {
				return err
			}
			e := lambdafn.OSEnviron()
			if user != 0 || f.name("") != "" {
				if e, err = f.environ(c, "", localstack.Reconcile); err != nil {
					return err
				}
			}
			m, err := mapping.ParseFor(cmp.Or(e.Vars["HIKYAKU_IDENTITY"], "id"), a[0], source)
			if err != nil {
				return err
			}
			if user == 0 {
				return o.say(c, map[string][]string{"targets": m.Targets(), "uses": m.Uses()}, "The mapping compiles: %d fields (%s) made of %s.",
					len(m.Targets()), strings.Join(m.Targets(), ", "), strings.Join(m.Uses(), ", "))
			}
			if write {
				return learnUpdate(c, f, m, user, yes, o)
			}
			preview, err := previewIn(c.Context(), e, m, user)
			if err != nil {
				return err
			}
			return o.print(c, previewFields(preview), func(out io.Writer) error { return printPreview(out, preview) })
		},
	}
	f.add(c)
	c.Flags().Int64Var(&user, "user", 0, "SuperSaaS id of a user to try it on")
	c.Flags().BoolVar(&yes, "yes", false, "with --write: do not ask")
	c.Flags().BoolVar(&write, "write", false, "with --user: find out what an update does to omitted fields, and store it")
	o.add(c)
	return c
}

// previewIn composes the reconcile role, which can write nothing, with the
// mapping to be checked.
func previewIn(ctx context.Context, e lambdafn.Environ, m *mapping.Mapping, user int64) (plan.Preview, error) {
	e.Vars = maps.Clone(e.Vars)
	e.Vars["HIKYAKU_ROLE"] = string(relayfn.Reconcile)
	if e.Vars["HIKYAKU_QUEUE_URL"] == "" {
		e.Vars["HIKYAKU_QUEUE_URL"] = "not-used-by-check"
	}
	function, err := relayfn.New(ctx, e)
	if err != nil {
		return plan.Preview{}, err
	}
	function.Try(m)
	t, err := function.Tenant(ctx)
	if err != nil {
		return plan.Preview{}, err
	}
	preview, err := plan.Of(t).Preview(ctx, user)
	if err == nil && preview.Gone && preview.Member == "" {
		err = locale.Errorf("SuperSaaS has no user %d, and the relay knows no member of one", user)
	}
	return preview, err
}

func previewFields(p plan.Preview) map[string]any {
	desired := map[string]*string{}
	for name, value := range p.Desired {
		desired[name] = nil
		if !value.Null {
			desired[name] = &value.Text
		}
	}
	return map[string]any{
		"outcome": p.Outcome, "says": p.Outcome.Sentence(), "unique_id": p.UniqueID, "gone": p.Gone, "fields": desired, "changes": p.Changes, "unreadable": p.Unread,
	}
}

func printPreview(out io.Writer, p plan.Preview) error {
	var b strings.Builder
	l := languageOf(out)
	b.WriteString(l.Sprintf("The relay would: %s: %s\nunique_id: %s", p.Outcome, locale.T(p.Outcome.Sentence()), visible(p.UniqueID)) + "\n")
	for _, name := range slices.Sorted(maps.Keys(p.Desired)) {
		mark := " "
		if slices.Contains(p.Changes, name) {
			mark = "*"
		}
		value := p.Desired[name]
		text := fmt.Sprintf("%q", value.Text)
		if value.Null {
			text = "null"
		}
		fmt.Fprintf(&b, "%s %-16s %s\n", mark, name, text)
	}
	for _, name := range p.Unread {
		b.WriteString(l.Sprintf("? %-16s cannot be read: it is not sent, and what Yappli holds stays", name) + "\n")
	}
	b.WriteString(l.Text("* differs from what Yappli holds") + "\n")
	_, err := io.WriteString(out, b.String())
	return err
}
