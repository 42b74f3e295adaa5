package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/dev"
	"hikyaku/internal/dev/clock"
	"hikyaku/internal/hostguard"

	"github.com/spf13/cobra"
)

// A devFile says where the development stack of this machine is, for commands in other
// terminals.
type devFile struct {
	Dir     string            `json:"dir"`
	Process int               `json:"process"`
	Vars    map[string]string `json:"env"`
}

// stateDir is where this person's programs keep what lasts.
func stateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "hikyaku"), nil
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		dir, err := os.UserConfigDir()
		return filepath.Join(dir, "hikyaku"), err
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state", "hikyaku"), err
}

func devFilePath() (string, error) {
	dir, err := stateDir()
	if err != nil {
		return "", fmt.Errorf("looking for the folder of what lasts: %w; set XDG_STATE_HOME", err)
	}
	return filepath.Join(dir, "dev.json"), nil
}

// write lets other terminals find the stack, and returns what takes that back.
func (f devFile) write() (remove func(), err error) {
	path, err := devFilePath()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(fresh, raw, 0o600); err != nil {
		return nil, err
	}
	return func() {
		if now, err := readDevFile(); err == nil && now.Process == f.Process {
			_ = os.Remove(path)
		}
	}, os.Rename(fresh, path)
}

var errNoDev = errors.New("no development stack runs on this machine: start one with 'hikyaku dev' in another terminal")

func readDevFile() (f devFile, err error) {
	path, err := devFilePath()
	if err != nil {
		return f, err
	}
	raw, err := os.ReadFile(path) //nolint:gosec // of this person's own folder
	if errors.Is(err, os.ErrNotExist) {
		return f, errNoDev
	}
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil {
		return f, fmt.Errorf("reading where the development stack is: %w; remove %s, and start 'hikyaku dev' again", err, path)
	}
	return f, nil
}

// findDev is readDevFile for a stack that answers.
func findDev(ctx context.Context) (devFile, error) {
	f, err := readDevFile()
	if err != nil {
		return f, err
	}
	u, err := url.Parse(f.Vars["AWS_ENDPOINT_URL"])
	if err != nil {
		return f, errNoDev
	}
	dialer := net.Dialer{Timeout: time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return f, errNoDev // it was killed
	}
	return f, connection.Close()
}

const devFlag = "dev"

// elsewhere are the flags that name another stack.
var elsewhere = []string{"stack", "profile", "region", "bucket", "prefix", "env-vars"}

// useDev lets a command with --dev work with the development stack of this machine.
func useDev(c *cobra.Command) error {
	if c.Flags().Lookup(devFlag) == nil || !asked(c, devFlag) {
		return nil
	}
	for _, name := range elsewhere {
		if f := c.Flags().Lookup(name); f != nil && f.Changed {
			return &usageError{fmt.Errorf("--dev and --%s: give one of the two, for each says which stack is meant", name)}
		}
	}
	if os.Getenv(insideDev) != "" {
		return nil
	}
	f, err := findDev(c.Context())
	if err != nil {
		return err
	}
	return setOnly(f.Vars)
}

// insideDev is set in the process of a development stack, whose commands have its
// environment already.
const insideDev = "HIKYAKU_INSIDE_DEV"

// setOnly sets variables of this process, without those that would lead a command to
// another stack.
func setOnly(vars map[string]string) error {
	var faults []error
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if leadsAway(name) {
			faults = append(faults, os.Unsetenv(name))
		}
	}
	for name, value := range vars {
		faults = append(faults, os.Setenv(name, value))
	}
	return errors.Join(faults...)
}

func leadsAway(name string) bool {
	return strings.HasPrefix(name, "HIKYAKU_") || strings.HasPrefix(name, "AWS_")
}

// devEnvironment is what leads any AWS client and hikyaku's commands to a stack.
func devEnvironment(endpoint, region, stack string) map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": region, "AWS_DEFAULT_REGION": region, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"AWS_EC2_METADATA_DISABLED": "true", "HIKYAKU_STACK": stack,
	}
}

// devClock is the clock of a development stack, by the settings of its functions; nil: it
// is none, or not of this machine.
func devClock(vars map[string]string) func() time.Time {
	u, err := url.Parse(vars["AWS_ENDPOINT_URL"])
	if path := vars[dev.ClockVariable]; err == nil && path != "" && hostguard.IsLoopback(u.Host) {
		if now, err := clock.Follow(path); err == nil {
			return now
		}
	}
	return nil
}

// exportLines are variables as a shell takes them over, with those unset that would lead
// elsewhere.
func exportLines(vars map[string]string) string {
	var lines strings.Builder
	for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "HIKYAKU_PREFIX", "HIKYAKU_BUCKET"} {
		lines.WriteString("unset " + name + "\n")
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		lines.WriteString("export " + name + "='" + strings.ReplaceAll(vars[name], "'", `'\''`) + "'\n")
	}
	return lines.String()
}
