package objectstore_test

import (
	"testing"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/objectstoretest"
)

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	objectstoretest.Run(t, func(*testing.T) objectstore.Store { return new(objectstore.Memory) })
}
