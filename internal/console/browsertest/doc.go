// Package browsertest drives the console in Chromium, as a person does: it starts the hikyaku
// that HIKYAKU_BIN names, follows the one-time link, and goes through every page and action that
// the console lists. It is a module of its own, so that hikyaku needs nothing of it.
//
//	npm ci --ignore-scripts
//	HIKYAKU_BIN=/path/to/hikyaku go test .
//
// HIKYAKU_PROVE=full runs all of it, at full size.
package browsertest
