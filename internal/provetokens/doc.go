// Package provetokens holds no product code: its tests prove, at full size,
// what Hikyaku promises about credentials. Each prints lines of the form
//
//	prove: name: figure (bar)
//
// and fails where a figure falls short of its bar. Where a guard makes the
// difference, the test runs once more with the guard taken out by a test
// double, and fails if nothing is found then: a proof that cannot fail proves
// nothing.
//
// 'make prove-tokens' runs them at full size (HIKYAKU_PROVE=full); 'go test'
// runs at least a twentieth of each count. HIKYAKU_SEED chooses another seed
// for everything that is random.
package provetokens
