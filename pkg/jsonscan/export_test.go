package jsonscan

// NewSmallStream is NewStream with pieces that are small enough for a fuzzer.
func NewSmallStream(file File, limits Limits, shape Shape, head, piece int) (*Stream, error) {
	return newStream(file, limits, shape, head, piece)
}
