package main

import (
	"strings"
	"testing"

	"hikyaku/internal/doctor"
)

// Each next command of ours is one that this version takes.
func TestDoctor_NextCommandsExist(t *testing.T) {
	t.Parallel()
	fill := strings.NewReplacer("{hikyaku}", "--stack shop --region r --profile p", "{account}", "--profile p", "{detail}", "x", " ID ", " 1 ")
	seen := 0
	for _, k := range doctor.Kinds() {
		next, ours := strings.CutPrefix(fill.Replace(k.Next), "hikyaku ")
		if !ours {
			continue
		}
		seen++
		var faults []string
		for _, subject := range []string{"yappli", "shopline", "yappli/users", "relay"} { // a finding has one of these
			c, rest, err := newRoot().Find(strings.Fields(strings.ReplaceAll(next, "{subject}", subject)))
			if err == nil {
				err = c.ParseFlags(rest)
			}
			if err == nil && c.RunE == nil {
				t.Errorf("%s: hikyaku %s does nothing", k.ID, next)
			}
			if err == nil && !strings.Contains(next, "PROVIDER") {
				err = c.ValidateArgs(c.Flags().Args())
			}
			if err == nil {
				faults = nil
				break
			}
			faults = append(faults, err.Error())
		}
		if len(faults) > 0 {
			t.Errorf("%s: hikyaku %s: %s", k.ID, next, strings.Join(faults, "; "))
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands of ours", seen)
	}
}
