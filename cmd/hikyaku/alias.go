package main

import "github.com/spf13/cobra"

// alias lets a flag be given by a name that it had before, or has elsewhere. Help and
// completion show the one name alone.
func alias(c *cobra.Command, old, name string) {
	flag := *c.Flags().Lookup(name)
	flag.Name, flag.Hidden, flag.Shorthand = old, true, ""
	c.Flags().AddFlag(&flag)
}
