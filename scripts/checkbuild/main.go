// Command checkbuild asserts that every bootstrap below a directory starts on
// Amazon Linux 2023 on whatever machine it was built: linked statically, stripped, and of at
// most 15 MB, or 25 MB with what the relay knows of telephone numbers.
package main

import (
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The largest sizes in bytes, of any function and of the relay.
const (
	largest      = 15_000_000
	largestRelay = 25_000_000
)

// relay is the package of the function that reads telephone numbers.
const relay = "hikyaku/functions/webhookrelay"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "checkbuild:", err)
		os.Exit(1)
	}
}

func run(dirs []string) error {
	found := 0
	var faults []error
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error { //nolint:gosec // the build names the directory
			if err != nil || entry.Name() != "bootstrap" {
				return err
			}
			found++
			faults = append(faults, check(path))
			return nil
		})
		if err != nil {
			return err
		}
	}
	if found == 0 {
		return errors.New("no bootstrap found; build first")
	}
	return errors.Join(faults...)
}

func check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = file.Close() }()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			return fmt.Errorf("%s: linked dynamically; build with CGO_ENABLED=0", path)
		}
	}
	if file.Section(".symtab") != nil {
		return fmt.Errorf("%s: not stripped; build with -ldflags '-s -w'", path)
	}
	built, err := buildinfo.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	most := int64(largest)
	if built.Path == relay {
		most = largestRelay
	}
	if info.Size() > most {
		return fmt.Errorf("%s: %d bytes, more than %d", path, info.Size(), most)
	}
	fmt.Printf("%-50s %s, static, %.1f MB\n", path, file.Machine, float64(info.Size())/1e6)
	return nil
}
