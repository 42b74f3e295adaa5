package admin

import "os"

// ours cannot be told from a file's mode on Windows, which knows no owner and says
// 0777 or 0666 of every file that may be written. There the folder protects what is
// kept: it lies in the person's profile, which no other user may read or write.
func ours(os.FileInfo, os.FileMode) bool { return true }
