package boltkeeper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The parts of a file of bbolt's that lead from page to page.
const (
	pageHeader    = 16
	metaLength    = 64
	elementLength = 16
	bucketHeader  = 16
	magic         = 0xED0CDAED

	branchPage    = 0x01
	leafPage      = 0x02
	bucketElement = 0x01

	smallestPage = 512
	largestPage  = 64 << 10
	mostPageSize = 1 << 30 // with what overflows
)

var errNotWhole = errors.New("parts of it are missing or overwritten")

// whole reads every page that a file leads to. bbolt maps the file into memory, and a page
// that is not there, or leads nowhere, ends the process with a trace of the stack in the
// place of a sentence. What bbolt itself says in words is left to it.
func whole(path string) error {
	file, err := os.Open(path) //nolint:gosec // the caller names the file
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	w := walk{file: file, seen: map[uint64]bool{}}
	root, ok := w.begin()
	if !ok {
		return nil // bbolt finds no beginning either, and says so
	}
	return w.page(root, nil, nil)
}

// A walk visits the pages of a file, each once.
type walk struct {
	file     io.ReaderAt
	pageSize uint64
	most     uint64 // pages that were ever used
	seen     map[uint64]bool
}

// begin finds the last beginning that was written whole.
func (w *walk) begin() (root uint64, ok bool) {
	var last uint64
	look := func(at uint64) {
		raw := make([]byte, metaLength)
		if _, err := w.file.ReadAt(raw, int64(at)+pageHeader); err != nil {
			return
		}
		sum := fnv.New64a()
		_, _ = sum.Write(raw[:metaLength-8])
		size, txid := uint64(binary.NativeEndian.Uint32(raw[8:])), binary.NativeEndian.Uint64(raw[48:])
		if binary.NativeEndian.Uint32(raw) != magic || sum.Sum64() != binary.NativeEndian.Uint64(raw[56:]) || at != 0 && at != size || ok && txid < last {
			return
		}
		ok, last, w.pageSize = true, txid, size
		root, w.most = binary.NativeEndian.Uint64(raw[16:]), binary.NativeEndian.Uint64(raw[40:])
	}
	for size := uint64(smallestPage); size <= largestPage; size *= 2 {
		look(size)
	}
	look(0)
	return root, ok && w.pageSize >= smallestPage && w.pageSize <= largestPage
}

// page reads a page, and those that it leads to, whose keys lie between two.
func (w *walk) page(id uint64, low, high []byte) error {
	if id < 2 || id >= w.most || w.seen[id] {
		return fmt.Errorf("%w: page %d", errNotWhole, id)
	}
	w.seen[id] = true
	head := make([]byte, pageHeader)
	at := int64(id * w.pageSize)
	if _, err := w.file.ReadAt(head, at); err != nil {
		return fmt.Errorf("%w: page %d", errNotWhole, id)
	}
	size := w.pageSize * (uint64(binary.NativeEndian.Uint32(head[12:])) + 1)
	if binary.NativeEndian.Uint64(head) != id || size > mostPageSize {
		return fmt.Errorf("%w: page %d", errNotWhole, id)
	}
	raw := make([]byte, size)
	if n, err := w.file.ReadAt(raw, at); err != nil && (!errors.Is(err, io.EOF) || n < len(raw)) {
		return fmt.Errorf("%w: page %d", errNotWhole, id)
	}
	return w.elements(id, raw, low, high)
}

// elements follows what a page holds; a small bucket is a page within another one. Its keys
// are in order, not before low, and before high; nil is no bound.
func (w *walk) elements(id uint64, raw, low, high []byte) error {
	broken := fmt.Errorf("%w: page %d", errNotWhole, id)
	kind, count := binary.NativeEndian.Uint16(raw[8:]), int(binary.NativeEndian.Uint16(raw[10:]))
	if kind != branchPage && kind != leafPage || pageHeader+count*elementLength > len(raw) {
		return broken
	}
	keys := make([][]byte, count)
	for i := range count {
		var ok bool
		keys[i], _, ok = element(raw, i, kind)
		switch {
		case !ok, high != nil && bytes.Compare(keys[i], high) >= 0:
			return broken
		case i == 0 && bytes.Compare(keys[i], low) < 0, i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0:
			return broken
		}
	}
	for i := range count {
		e := raw[pageHeader+i*elementLength:]
		if kind == branchPage {
			end := high
			if i+1 < count {
				end = keys[i+1]
			}
			if err := w.page(binary.NativeEndian.Uint64(e[8:]), keys[i], end); err != nil {
				return err
			}
			continue
		}
		if binary.NativeEndian.Uint32(e)&bucketElement == 0 {
			continue
		}
		_, value, _ := element(raw, i, kind)
		if len(value) < bucketHeader {
			return broken
		}
		if err := w.bucket(id, value); err != nil {
			return err
		}
	}
	return nil
}

// element is the key and the value of a page's element. A branch has no values.
func element(raw []byte, i int, kind uint16) (key, value []byte, ok bool) {
	at := uint64(pageHeader + i*elementLength)
	e := raw[at : at+elementLength]
	if kind == leafPage {
		e = e[4:]
	}
	begin := at + uint64(binary.NativeEndian.Uint32(e))
	middle := begin + uint64(binary.NativeEndian.Uint32(e[4:]))
	end := middle
	if kind == leafPage {
		end += uint64(binary.NativeEndian.Uint32(e[8:]))
	}
	if end > uint64(len(raw)) {
		return nil, nil, false
	}
	return raw[begin:middle], raw[middle:end], true
}

func (w *walk) bucket(id uint64, raw []byte) error {
	if root := binary.NativeEndian.Uint64(raw); root != 0 {
		return w.page(root, nil, nil)
	}
	if len(raw) < bucketHeader+pageHeader {
		return fmt.Errorf("%w: page %d", errNotWhole, id)
	}
	return w.elements(id, raw[bucketHeader:], nil, nil)
}
