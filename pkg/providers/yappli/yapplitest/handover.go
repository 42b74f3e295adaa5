package yapplitest

import (
	"fmt"
	"sync"

	"hikyaku/pkg/providers/sandbox"
)

// handovers are the hand-over tokens so far.
type handovers struct {
	mu   sync.Mutex
	ids  map[string]string // token to Yappli's id
	kept *sandbox.Section
}

func (h *handovers) resume(j *sandbox.Journal) {
	h.ids, h.kept = map[string]string{}, j.Section("handovers")
	sandbox.Each(h.kept, func(token, id string) { h.ids[token] = id })
}

func (h *handovers) issue(id string) string {
	defer h.kept.Commit()
	h.mu.Lock()
	defer h.mu.Unlock()
	token := fmt.Sprintf("HO-%06d", len(h.ids)+1)
	h.ids[token] = id
	h.kept.Put(token, id)
	return token
}

// confirms reports whether a token was made for a member.
func (h *handovers) confirms(token, id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	owner, ok := h.ids[token]
	return ok && owner == id
}
