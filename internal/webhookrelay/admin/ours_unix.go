//go:build unix

package admin

import (
	"os"
	"syscall"
)

// ours reports that the person who runs the command owns the file, and that others
// have none of the rights.
func ours(info os.FileInfo, rights os.FileMode) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && info.Mode().Perm()&rights == 0
}
