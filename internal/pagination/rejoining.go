package pagination

import (
	"context"
	"io"

	"hikyaku/pkg/jsonscan"
)

// A rejoining is how indexed finds its place again in a list that has moved.
type rejoining struct{ *indexed }

// rejoin goes on in a list that has moved. It looks for the row that was read last
// among those of the answer, and if there is none, further and further back.
func (x rejoining) rejoin(ctx context.Context, q Query, l jsonscan.List) (Page, error) {
	i, number := x.newestOf(l)
	follows := x.followsFirst(q, l)
	reaches := 0 // to which index the list has rows, as the answer says
	if i < 0 && len(l.Records) > 0 {
		reaches = q.Start + len(l.Records)
	}
	if i < 0 && !x.stalled.mayGoBack() { // there is no order to be found
		return x.lostPlace(ctx, q, l)
	}
	tail := min(x.tail, x.tailOf(q, l))
	step := max(1, x.limit()-1)
	if tail < noTail { // a page with the end of the list, and the rows before it
		step = max(1, x.limit()-1-len(l.Records))
	}
	for i < 0 {
		if q.Start == 0 { // none of the rows read last is there any more
			return x.lostPlace(ctx, q, l)
		}
		x.drift.Rewinds++
		var err error
		if q, l, err = x.refetchFrom(ctx, max(0, min(q.Start, x.at.Rows-1)-step)); err != nil {
			if x.stalled.unread++; narrowable(err) && x.stalled.unread > maxUnread {
				return x.lostPlace(ctx, q, jsonscan.List{})
			}
			return x.narrow(ctx, q, err)
		}
		step *= 2
		i, number = x.newestOf(l)
	}
	moved := q.Start + i + 1 - x.recent.place(number)
	if follows && moved == 0 {
		return Page{}, errFixedSize{x.at.First}
	}
	x.at.Signs.displace(x.at.Look, max(0, moved))
	x.recent.goBack(number, moved)
	if len(l.Records) < q.Limit { // it says where the list ends
		tail = max(q.Start, reaches)
	}
	isTail := number == x.recent.read && x.changed(l, i+1) && q.Start+len(l.Records) >= tail
	if err := x.maybeEnd(ctx, q, l, isTail); err != nil {
		return Page{}, err
	}
	return x.advance(ctx, q, l, placement{start: q.Start, overlapIndex: i, moved: true}), nil
}

// maybeEnd notes that the list is over, although it grows in front or its last
// rows change: answers in a row have ended with the row read last, or with rows
// after it that are known and have changed since.
func (x rejoining) maybeEnd(ctx context.Context, q Query, l jsonscan.List, isTail bool) error {
	x.over = x.stalled.tail(isTail)
	if !x.over || q.Start == 0 {
		return nil
	}
	front, err := x.refetch(ctx, x.exactly(0, x.limit()))
	if err == nil && sameRows(front, l) { // it answers any question with its first rows
		err = ErrLoop
	}
	return err
}

// noTail is the tail of an answer that shows other rows, or not the end.
const noTail = 1 << 62

// tailOf returns the index from which on the list has nothing but rows that are
// known and have changed since, as an answer tells that shows its end.
func (x rejoining) tailOf(q Query, l jsonscan.List) int {
	if len(l.Records) < q.Limit && x.changed(l, 0) {
		return q.Start
	}
	return noTail
}

// refetchFrom asks for a page that begins at an index, or before it, and for a
// smaller one if a record there cannot be read.
func (x rejoining) refetchFrom(ctx context.Context, index int) (q Query, l jsonscan.List, err error) {
	for size := x.limit(); ; size /= 2 {
		q, _ = x.reach(index, size)
		if l, err = x.refetchTwice(ctx, q); err == nil || size == 1 || !narrowable(err) {
			return q, l, err
		}
	}
}

// lostPlace takes an answer that shows none of the rows read last: the list is
// read on from there.
func (x rejoining) lostPlace(ctx context.Context, q Query, l jsonscan.List) (Page, error) {
	x.torn()
	if len(l.Records) == 0 {
		return Page{}, io.EOF
	}
	return x.advance(ctx, q, l, placement{start: q.Start, overlapIndex: -1, moved: true, reread: true}), nil
}

// followsFirst reports whether an answer shows none of the rows read last, and what
// follows them if all pages are as large as the first one.
func (x rejoining) followsFirst(q Query, l jsonscan.List) bool {
	i, _ := x.newestOf(l)
	return x.byPage && i < 0 && len(l.Records) > 0 && x.at.First > 0 && (q.Page-1)*x.at.First == x.at.Rows
}

// clamped reports whether the server gives fewer rows a page than asked for: page
// p then begins at (p-1) times as many rows as the answer has.
func (x rejoining) clamped(q Query, l jsonscan.List) bool {
	i, number := x.newestOf(l)
	return i >= 0 && x.recent.place(number)-1-i == (q.Page-1)*len(l.Records)
}
