package main

import "hikyaku/internal/localstack"

// shopCalls are ways to call the commands that a shop works with, for the test of what
// providers hide.
func shopCalls(user, mapping string) map[string][][]string {
	return map[string][][]string{
		"compare":      {{"--user", user, "--mapping", mapping}, {"--user", user, "--mapping", mapping, "--json", "--logs"}},
		"cost":         {{"--stack", localstack.Name}, {"--stack", localstack.Name, "--json"}},
		"mapping try":  {{mapping, "--user", user}, {mapping, "--user", user, "--compare", "--json"}, {mapping, "--count"}},
		"mapping show": {{}, {"--json"}},
		"users list":   {{"supersaas"}, {"yappli", "--json"}, {"supersaas", "--search", "x", "--json"}}, "users get": {{"supersaas", user}, {"supersaas", user, "--json"}, {"yappli", "1001"}},
		"users create": {{"supersaas", "--set", "name=" + hostile, "--write"}, {"yappli", "--set", "unique_id=h", "--set", "column01=" + hostile, "--json", "--write"}},
		"users update": {{"supersaas", user, "--set", "full_name=" + hostile, "--write"}, {"yappli", "1001", "--set", "column01=" + hostile, "--write"}}, "users delete": {{"supersaas", "1" + hostile, "--write"}},
		"records": {{"supersaas/users", "--to", "lake"}, {"supersaas/users", "--to", "lake", "--search", "x", "--json"}},
	}
}
