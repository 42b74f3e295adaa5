package clibase

import (
	"testing"

	"github.com/aws/smithy-go/logging"
)

// The SDK has a log of its own on standard error, which is the command's.
func TestPlace_KeepsTheSDKQuiet(t *testing.T) {
	t.Setenv("AWS_REGION", "ap-northeast-1")
	resolved, err := Place{}.load(t.Context())
	if _, quiet := resolved.Logger.(logging.Nop); err != nil || !quiet {
		t.Errorf("%T, %v", resolved.Logger, err)
	}
}
