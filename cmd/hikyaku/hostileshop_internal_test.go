package main

import "hikyaku/internal/localstack"

// shopCalls are ways to call the commands that a shop works with, for the test of what
// providers hide.
func shopCalls(user, mapping string) map[string][][]string {
	return map[string][][]string{
		"compare":      {{"--user", user, "--mapping", mapping}, {"--user", user, "--mapping", mapping, "--json", "--logs"}},
		"users":        {{"yappli"}},
		"orders":       {{"shopline"}},
		"cost":         {{"--stack", localstack.Name}, {"--stack", localstack.Name, "--json"}},
		"metrics":      {{"--stack", localstack.Name}, {"--stack", localstack.Name, "--json"}},
		"mapping try":  {{mapping, "--user", user}, {mapping, "--user", user, "--compare", "--json"}, {mapping, "--count"}},
		"mapping show": {{}, {"--json"}},
		"users list":   {{"supersaas"}, {"yappli", "--json"}, {"supersaas", "--search", "x", "--json"}}, "users get": {{"supersaas", user}, {"supersaas", user, "--json"}, {"yappli", "1001"}},
		"users create": {{"supersaas", "--set", "name=" + hostile, "--write"}, {"yappli", "--set", "unique_id=h", "--set", "column01=" + hostile, "--json", "--write"}},
		"users update": {{"supersaas", user, "--set", "full_name=" + hostile, "--write"}, {"yappli", "1001", "--set", "column01=" + hostile, "--write"}}, "users delete": {{"supersaas", "1" + hostile, "--write"}},
		"orders list": {{"shopline"}, {"assisttencho", "--search", "x", "--json"}}, "orders get": {{"assisttencho", "1"}, {"shopline", "x" + hostile}},
		"orders create": {{"assisttencho", "--set", "memo=" + hostile, "--write"}}, "orders update": {{"assisttencho", "1", "--set", "memo=" + hostile}, {"assisttencho", "1", "--set", "memo=" + hostile, "--write", "--json"}},
		"orders delete": {{"assisttencho", "2", "--json"}, {"assisttencho", "2", "--write"}}, "customers": {{"shopline"}}, "customers list": {{"shopline", "--search", "x", "--json"}}, "customers get": {{"shopline", "x" + hostile}},
		"login-link": {{"supersaas", "--user", user}, {"actibook", "--user", "u" + hostile, "--keyword", "members", "--write", "--json"}}, "check-handover": {{"yappli", "x" + hostile, "--id", "1001"}, {"yappli", "x", "--id", "1001", "--json"}},
		"records": {{"supersaas/users", "--to", "lake"}, {"supersaas/users", "--to", "lake", "--search", "x", "--json"}},
	}
}
