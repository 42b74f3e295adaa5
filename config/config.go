// Package config holds the mapping that the repository ships, for the demo and
// the tests. A stack packages the file beside the relay's bootstrap instead.
package config

import _ "embed" // for Mapping

// Mapping is mapping.yaml as it was when the binary was built.
//
//go:embed mapping.yaml
var Mapping []byte
