// Package repotest holds the tests of the repository itself, and nothing else:
// which package may import which (imports_test.go), what every file must have
// (docs_test.go), and that nothing in the providers' documents was left out
// (coverage_test.go). They need only Go, no network and no version control.
//
// A rule that fails tells what to do. A rule whose package no longer exists
// fails too, so that a renamed package does not quietly lose its guard.
package repotest
