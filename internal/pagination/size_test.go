package pagination_test

import "hikyaku/internal/prove"

// sized is the number of cases of a proof at full size, and in go test.
func sized(full, short int) int { return prove.Size(full, short) }
