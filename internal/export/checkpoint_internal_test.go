package export

import (
	"strings"
	"testing"
	"time"

	"hikyaku/internal/pagination"
)

// TestCheckpoint_FitsAtItsWidest: a position beside a record that cannot be read,
// with every number at its largest: by cursor, cut down to one second, and by number.
func TestCheckpoint_FitsAtItsWidest(t *testing.T) {
	t.Parallel()
	const million = 10_000_000
	id := strings.Repeat("x", 128) // the widest that is kept as it is
	c := checkpoint{
		Rows: maxPartRows, Bytes: MaxPartBytes, SHA256: strings.Repeat("a", 64), CRC32C: "01234567", First: id, Last: id, Rejects: maxPartRows, Owed: maxPartRows,
		RejectsKey: strings.Repeat("p", 31) + "/rejects/supersaas/appointments/dt=2026-11-22/run=20261122T003000Z_20260101T000000Z_20260201T000000Z/part-00000-0123456789abcdef.jsonl",
		Known:      "0123456789abcdef", Repeats: million, Late: million, Redacted: strings.Repeat("f", maxPaths/4),
		Drift: pagination.Drift{Shifts: million, Rewinds: million, Unresolved: million},
		Next: pagination.Position{
			Pass: 255, Look: reviewLook, Looks: reviewLook, Rows: million, Seen: million, PageRows: pagination.PageRows{Size: 1000}, Total: million, Done: true,
			Last:    []string{id, id, id, id[:4]}, // of 400 bytes together
			Suspect: &pagination.Suspect{Since: time.Date(2026, 11, 22, 0, 30, 0, 123456789, time.UTC), Failures: 1000, Status: 599},
			Signs:   pagination.Signs{Displaced: million, Moved: million, Found: million, Late: million, Reordered: million, Returned: million, Inverted: million, Torn: 1000, Unread: 1000},
		},
	}
	cut := c // a list by cursor
	cut.Next.Windows = pagination.Windows{Read: million, Rejected: 9, Shared: 9, Past: true, Behind: true}
	for length := int64(maxRange / time.Second); length > 0; length /= 2 {
		cut.Next.Windows.Bounds = append(cut.Next.Windows.Bounds, 1_800_000_000)
	}
	c.Next.Gap, c.Next.Shifts, c.Next.Fixed = 1000, million, true // a list by number
	for _, c := range []checkpoint{c, cut} {
		metadata, err := metadataOf(c)
		if err != nil {
			t.Fatal(err)
		}
		if width := len("x-amz-meta-checkpoint") + len(metadata[checkpointKey]); width > 2048 {
			t.Errorf("a checkpoint takes %d bytes", width)
		}
	}
}
