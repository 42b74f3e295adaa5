package lambdafn

import (
	"runtime/debug"
	"strconv"
)

// limitMemory tells the collector how much memory the function has, so that it
// works harder before Lambda ends the process for too much. GOMEMLIMIT, which
// the Go runtime reads itself, is a person's own choice and stays.
func limitMemory(vars map[string]string) {
	size, err := strconv.ParseInt(vars["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], 10, 64) // set by Lambda, in MiB
	if err != nil || size <= 0 || vars["GOMEMLIMIT"] != "" {
		return
	}
	debug.SetMemoryLimit(size << 20 / limitOf * limitShare)
}

// The limit is a share of the function's memory. The rest is for what the
// runtime does not count, the pages of the binary above all: some 20 MB of a
// function of 128 MB, of which it then still has a tenth to spare.
const limitShare, limitOf = 3, 4
