package proveexport

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"hikyaku/internal/prove"
)

// A race is alternating runs of several ways to do the same work, each in a
// process of its own.
type race struct {
	*haul

	cpu   map[string]float64 // seconds, by mode and compression
	bytes map[string]float64
}

// run does the work once more in one way.
func (r *race) run(t *testing.T, name, mode, compression string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	for name, value := range r.vars {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Env = append(command.Env, childMode+"="+mode, "HIKYAKU_EXPORT_COMPRESSION="+compression, "HIKYAKU_TRIGGER="+r.trigger())
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(name, err)
	}
	var s spent
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatal(err)
	}
	lines := r.counted()
	if alone := mode == "ceiling" || mode == "splitter" || mode == "jsontext"; !alone && lines != r.rows {
		t.Fatalf("%s: %d of %d lines stored", name, lines, r.rows)
	}
	r.cpu[name] += s.CPU
	r.bytes[name] += r.size()
}

// speed is how much JSON a second of processor time has taken.
func (r *race) speed(name string) float64 { return r.bytes[name] / 1e6 / r.cpu[name] }

// TestCPU compares the export with the least work that any has, and with other
// ways to do the same.
func TestCPU(t *testing.T) {
	prove.Heavy(t)
	r := &race{haul: newHaul(t, sized(200_000, 10_000)), cpu: map[string]float64{}, bytes: map[string]float64{}}
	ways := []struct{ name, mode, compression string }{
		{"ceiling", "ceiling", "gzip"}, {"hikyaku", "product", "gzip"}, {"hikyaku again", "product", "gzip"},
		{"ceiling, none", "ceiling", "none"}, {"hikyaku, none", "product", "none"},
		{"splitter", "splitter", "none"}, {"jsontext", "jsontext", "none"},
		{"map", "map", "gzip"}, {"map, bare", "map-bare", "none"}, {"v1 RawMessage", "raw", "gzip"}, {"v2", "v2", "gzip"},
	}
	began, rounds := time.Now(), 0
	for ; rounds < sized(2, 1) || prove.Full() && time.Since(began) < time.Minute; rounds++ {
		for i := range ways {
			w := ways[(i+rounds)%len(ways)]
			r.run(t, w.name, w.mode, w.compression)
		}
	}
	for _, w := range ways {
		fmt.Printf("prove: %-14s %6.1f MB/s of processor time, %d rounds\n", w.name, r.speed(w.name), rounds)
	}
	noise := r.speed("hikyaku again")/r.speed("hikyaku") - 1
	ratio := func(name, a, b string, full, short float64) {
		t.Helper()
		bar := full
		if !prove.Full() {
			bar = short // the first part of a process costs more: new memory, a new file
		}
		x := r.speed(a) / r.speed(b)
		figure(t, x >= bar, name, fmt.Sprintf("at least %.2f", full), "%.2f, A against A %+.1f %%, %d rounds of %d rows in %.0f s", x, 100*noise, rounds, r.rows, time.Since(began).Seconds())
	}
	ratio("CPU, the ceiling's splitter to jsontext", "splitter", "jsontext", 0.9, 0.5)
	ratio("CPU, to the ceiling, gzip", "hikyaku", "ceiling", 0.7, 0.3)
	ratio("CPU, to the ceiling, uncompressed", "hikyaku, none", "ceiling, none", 0.45, 0.1)
	decoding := r.speed("map") / r.speed("ceiling")
	figure(t, decoding < 0.7, "CPU, to the ceiling, gzip, by decoding instead of splitting", "falls short of 0.70", "%.2f", decoding)
	ratio("CPU, to decoding into maps, gzip", "hikyaku", "map", 3.5, 1.5)
	ratio("CPU, to decoding into maps, without gzip and hash", "hikyaku, none", "map, bare", 5, 2)
}
