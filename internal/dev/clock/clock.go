// Package clock is the time of a development stack: the machine's, ahead by an offset
// that grows while the stack is idle.
//
// While no function is invoked, time runs faster than the machine's by a factor. While
// one is, it runs as the machine's does: inside an invocation a second is a second
// everywhere, so that no deadline, lease or time-out ever sees a jump.
//
// The offset lies in a file of eight bytes, which the functions' processes read:
//
//	c, err := clock.Open(path)      // who runs the stack
//	defer c.Busy()()                // around each invocation
//	now, err := clock.Follow(path)  // a process of a function
//
// While the stack is idle the file is ahead of the clock. So a clock that is opened
// after its process was killed never shows a time before one that was seen already.
package clock

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Fastest is the highest factor.
const Fastest = 1000

// reserve is how long, by the machine's clock, an idle clock runs before it writes its
// file again.
const reserve = time.Second

// A Clock is safe for concurrent use.
type Clock struct {
	file *os.File

	mu     sync.Mutex
	factor float64
	busy   int
	offset time.Duration // at since
	since  time.Time     // on the machine's clock: when the present pace began
	kept   time.Duration // what the file says, while idle at least the offset
	fault  error         // of the last writing
}

// Open opens the clock that the file at path keeps, or makes it. It goes on where it was.
func Open(path string) (*Clock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, fmt.Errorf("opening the stack's clock: %w", err)
	}
	c := &Clock{file: file, factor: 1, since: time.Now()}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.Size() == 0:
		err = c.write(0)
	case info.Size() != size:
		err = fmt.Errorf("%s is no clock: it has %d bytes, not %d", path, info.Size(), size)
	default:
		c.offset, err = read(file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the stack's clock: %w", err), file.Close())
	}
	c.kept = c.offset
	return c, nil
}

// Now is the stack's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	offset := c.at(now)
	if offset > c.kept {
		c.keep(offset + c.gain(reserve))
	}
	return now.Add(offset)
}

// at is the offset at a time of the machine's.
func (c *Clock) at(now time.Time) time.Duration {
	if c.busy > 0 {
		return c.offset
	}
	return c.offset + c.gain(now.Sub(c.since))
}

// gain is by how much the clock runs ahead in a while of the machine's.
func (c *Clock) gain(d time.Duration) time.Duration {
	return time.Duration(float64(max(0, d)) * (c.factor - 1))
}

// settle makes the offset that of now, from when on another pace counts.
func (c *Clock) settle() {
	now := time.Now()
	c.offset, c.since = c.at(now), now
}

// keep writes the file. While that fails the clock stands rather than go where it could
// not begin again.
func (c *Clock) keep(offset time.Duration) {
	if c.fault = c.write(offset); c.fault == nil {
		c.kept = offset
		return
	}
	c.offset, c.since, c.factor = c.kept, time.Now(), 1
}

// Busy makes the clock run as the machine's until the returned function is called.
func (c *Clock) Busy() (idle func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy == 0 {
		c.settle()
		c.keep(c.offset) // as the function's process is to see it
	}
	c.busy++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.busy--; c.busy == 0 {
			c.since = time.Now()
		}
	})
}

// SetFactor says how much faster than the machine's the clock runs while it is idle.
func (c *Clock) SetFactor(factor float64) error {
	if !(factor >= 1 && factor <= Fastest) { // also what is no number
		return fmt.Errorf("a clock runs 1 to %d times as fast as the machine's, not %v", Fastest, factor)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	c.factor = factor
	return c.fault
}

// Factor is what SetFactor said.
func (c *Clock) Factor() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.factor
}

// look is how long a wait for a time of the clock's may last beyond it.
const look = 50 * time.Millisecond

// Until waits for a time of the clock's, and reports whether ctx has not ended before.
func (c *Clock) Until(ctx context.Context, t time.Time) bool {
	for {
		left := t.Sub(c.Now())
		if left <= 0 || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		wait := time.Duration(float64(left) / c.Factor()) // sooner than that it is not
		timer := time.NewTimer(min(max(wait, time.Millisecond), look))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Close keeps the time exactly.
func (c *Clock) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return errors.Join(c.write(c.offset), c.file.Close())
}

const size = 8

func (c *Clock) write(offset time.Duration) error {
	_, err := c.file.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(offset)), 0)
	return err
}

func read(file *os.File) (time.Duration, error) {
	var raw [size]byte
	_, err := file.ReadAt(raw[:], 0)
	return time.Duration(binary.LittleEndian.Uint64(raw[:])), err
}

// Follow returns the time of the clock whose file is at path, for a process of a
// function. The file stays open as long as the process lives.
func Follow(path string) (now func() time.Time, err error) {
	file, err := os.Open(path) //nolint:gosec // who runs the stack names the file
	if err != nil {
		return nil, fmt.Errorf("following the stack's clock: %w", err)
	}
	if _, err := read(file); err != nil {
		return nil, fmt.Errorf("following the stack's clock: %w", err)
	}
	return func() time.Time {
		offset, err := read(file)
		if err != nil {
			offset = 0
		}
		return time.Now().Add(offset)
	}, nil
}
