package secretstore_test

import (
	"testing"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/secretstore/secretstoretest"
)

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	secretstoretest.Run(t, func(*testing.T) secretstore.Store { return new(secretstore.Memory) }, secretstoretest.Departures{})
}
