// Package proveexport holds no product code: its tests prove, at full size,
// what Hikyaku promises about exports. Each prints lines of the form
//
//	prove: name: figure (bar)
//
// and fails where a figure falls short of its bar.
//
// 'make prove-export' runs them at full size (HIKYAKU_PROVE=full), with those of
// package export, .ci/run a twentieth of that (HIKYAKU_PROVE=twentieth), of what
// weighs memory a hundredth, and 'go test' a handful. HIKYAKU_SEED chooses
// another seed for everything that is random.
package proveexport
