package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/aws/aws-lambda-go/lambda"

	"hikyaku/config"
	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
)

// registerFunctions makes each function one of the local AWS, composed in this
// process as its binary composes it. public is the name by which other machines
// reach the stack; it need not mean anything to this one, where host does.
func registerFunctions(ctx context.Context, stack *localstack.Stack, public, host string) error {
	for _, name := range localstack.Functions() {
		vars := stack.Vars(name)
		made := awslocal.Function{
			Name: name, Aliases: localstack.Aliases(name), Env: pairs(vars), Timeout: localstack.Timeout(name), Memory: localstack.Memory(name),
			Compose: func(logs io.Writer) (lambda.Handler, error) {
				e := lambdafn.Environ{Vars: vars, Out: io.MultiWriter(logs, &logFeed{function: name, to: stack.AWS})}
				if public != "" && public != host {
					e.HTTP, e.AWS = reaching(public, host), reaching(public, host)
				}
				return compose(ctx, name, e)
			},
		}
		if err := stack.AWS.Register(made); err != nil {
			return err
		}
	}
	return nil
}

// pairs are variables as a process has them.
func pairs(vars map[string]string) []string {
	list := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		list = append(list, name+"="+vars[name])
	}
	return list
}

// mappingFile is the mapping that functions in this process use: the repository's, or
// outside of it a copy of the one that this program was built with. The copy is gone
// when ctx ends.
func mappingFile(ctx context.Context) (string, error) {
	path, err := filepath.Abs(filepath.Join("config", "mapping.yaml"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "hikyaku-sandbox-")
	if err != nil {
		return "", locale.Errorf("keeping a mapping for the functions: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "mapping.yaml")
	return path, os.WriteFile(path, config.Mapping, 0o600)
}

// reaching is a transport that goes to host where an address names public.
func reaching(public, host string) http.RoundTripper {
	var dialer net.Dialer
	return &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if name, port, err := net.SplitHostPort(address); err == nil && name == public {
			address = net.JoinHostPort(host, port)
		}
		return dialer.DialContext(ctx, network, address)
	}}
}

// A logFeed hands what a function logs to the local CloudWatch Logs, line by line. It is
// safe for concurrent use.
type logFeed struct {
	function string
	to       *awslocal.AWS

	mu   sync.Mutex
	rest []byte
}

// Write implements io.Writer.
func (f *logFeed) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rest = append(f.rest, p...)
	for {
		line, rest, whole := bytes.Cut(f.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		f.to.Log(f.function, string(line))
		f.rest = rest
	}
}
