package mapping

import (
	"encoding/json"
	"slices"
	"testing"

	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/supersaas"
)

// TestLinkIf_EachRuleIsNeeded takes the rules away: whatever they refuse, an
// attacker who has typed all that customers may edit agrees with the victim's
// member. What they allow, only the victim does.
func TestLinkIf_EachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	typed := `"email":"v@mail.example","name":"v@mail.example","full_name":"本人","address":"東京","phone":"03-1000-0001","mobile":"090-1000-0001",` +
		`"country":"JP","timezone":"Asia/Tokyo","field_1":"A","field_2":"B"`
	var victim, attacker supersaas.User
	for user, own := range map[*supersaas.User]string{&victim: `"id":7,"super_field":"S-1","group":"G-1","role":4`, &attacker: `"id":8,"super_field":"S-2","group":"G-2","role":3`} {
		if err := json.Unmarshal([]byte("{"+typed+","+own+"}"), user); err != nil {
			t.Fatal(err)
		}
	}
	agrees := func(expression, identity string) (refused, agrees bool) {
		source := []byte("column04: " + expression + "\ncolumn05: full_name\n")
		_, err := ParseFor(identity, "m.yaml", append(source, "link_if: [column04]\n"...))
		m, parseErr := Parse("m.yaml", source)
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		m.linkIf = []string{"column04"}
		shown := m.Apply(victim).Fields["column04"].Text // what the victim's member holds
		return err != nil, slices.Equal(m.Apply(attacker).LinkIf, []string{shown}) || m.Apply(attacker).Fields["column04"].Text == shown
	}
	refusals, needed := 0, 0
	for _, c := range []struct{ expression, identity string }{
		{`'"x"'`, "email"},
		{"email", "email"},
		{"email", "fk"}, {"name", "fk"}, {"full_name", "fk"}, {"address", "fk"}, {"phone", "fk"}, {"mobile", "fk"},
		{"country", "fk"}, {"timezone", "fk"}, {"field_1", "fk"}, {"field_2", "fk"}, {"upper(default(field_1, field_2))", "fk"},
	} {
		refused, same := agrees(c.expression, c.identity)
		if !refused || !same {
			t.Errorf("%s beside the identity %s: refused %t, the attacker agrees %t", c.expression, c.identity, refused, same)
		}
		refusals++
		if same {
			needed++
		}
	}
	allowed := 0
	for _, expression := range []string{"super_field", "group", "role", "id", "super_field + phone"} {
		if refused, same := agrees(expression, "email"); refused || same {
			t.Errorf("%s: refused %t, the attacker agrees %t", expression, refused, same)
			allowed++
		}
	}
	prove.Figure(t, refusals == needed && allowed == 0, "link_if without its rules: refused expressions with which an attacker agrees", "all", "%d of %d; %d of those allowed", needed, refusals, allowed)
}
