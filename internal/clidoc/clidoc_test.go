package clidoc_test

import (
	"strings"
	"testing"

	"hikyaku/internal/clidoc"
)

// What a command says stands on its pages as it is, whatever it means to Markdown or man.
func TestFiles_ShowTextsAsTheyAre(t *testing.T) {
	t.Parallel()
	files := clidoc.Files([]clidoc.Command{{
		Command: "hikyaku carry box", Use: "hikyaku carry box [flags]", Short: "Carry a <box>", Long: "Carries a_b | c.\n.hidden\n\nParts:\n  relay  one",
		Example: "  hikyaku carry box", Flags: []clidoc.Flag{{"json", "bool", "print", "false"}, {"to", "string", "where_to", "home"}},
	}})
	page, manual := files["cli.md"], files["man/hikyaku-carry-box.1"]
	for _, want := range []string{"## hikyaku carry box", "Carry a &lt;box>", `a\_b \| c`, "```text\n  relay  one\n```", "| `--to string` | where\\_to (default home) |"} {
		if !strings.Contains(page, want) {
			t.Errorf("the reference lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "`--json` |") {
		t.Errorf("a flag of every command is repeated:\n%s", page)
	}
	for _, want := range []string{".TH HIKYAKU-CARRY-BOX 1", "\\&.hidden", ".nf\nParts:\n  relay  one\n.fi", ".B \\-\\-to string\n", ".BR hikyaku-carry (1)\n"} {
		if !strings.Contains(manual, want) {
			t.Errorf("the manual lacks %q:\n%s", want, manual)
		}
	}
}
