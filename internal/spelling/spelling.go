// Package spelling compares names that a person has written with those that are
// meant.
package spelling

import "strings"

// Distance counts the bytes to insert, delete or replace that make one name of
// another (Levenshtein).
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := corner
			if a[i] != b[j] {
				replaced++
			}
			corner = row[j+1]
			row[j+1] = min(replaced, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}

// Nearest returns the names that are least far away, at most so far.
func Nearest(names []string, most int, distance func(name string) int) (nearest []string) {
	for _, name := range names {
		if d := distance(name); d <= most {
			if d < most {
				most, nearest = d, nil
			}
			nearest = append(nearest, name)
		}
	}
	return nearest
}

// Meant is the name that was probably meant: the known one that differs least, in
// at most two letters, and not in all that it has. Case does not count; "" if there
// is none.
func Meant(name string, known []string) string {
	const most = 2
	near := Nearest(known, most, func(k string) int {
		if d := Distance(strings.ToLower(name), strings.ToLower(k)); d < len(k) {
			return d
		}
		return most + 1 // no letter is the same
	})
	if len(near) == 0 {
		return ""
	}
	return near[0]
}
