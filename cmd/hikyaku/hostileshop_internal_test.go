package main

// shopCalls are ways to call the commands that a shop works with, for the test of what
// providers hide.
func shopCalls(user, mapping string) map[string][][]string {
	return map[string][][]string{
		"compare":      {{"--user", user, "--mapping", mapping}, {"--user", user, "--mapping", mapping, "--json", "--logs"}},
		"mapping try":  {{mapping, "--user", user}, {mapping, "--user", user, "--compare", "--json"}, {mapping, "--count"}},
		"mapping show": {{}, {"--json"}},
		"records":      {{"supersaas/users", "--to", "lake"}, {"supersaas/users", "--to", "lake", "--search", "x", "--json"}},
	}
}
