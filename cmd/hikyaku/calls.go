package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hikyaku/internal/locale"
	"hikyaku/internal/spelling"
)

// expected says what a kind of flag takes.
var expected = map[string]string{
	"int": "a whole number", "int64": "a whole number", "int64Slice": "whole numbers, separated by commas", "float64": "a number",
	"duration": "a time such as 90s, 15m or 2h", "span": "a time such as 90m, 8h or 2d", "bool": "true or false",
}

// inPlainWords says what is wrong with a flag, and what could be meant, instead of which
// function could not read it.
func inPlainWords(c *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	var empty *pflag.ValueRequiredError
	switch {
	case errors.As(err, &invalid):
		if takes := expected[invalid.GetFlag().Value.Type()]; takes != "" {
			err = locale.Errorf("--%s %s: expected %s", invalid.GetFlag().Name, visible(invalid.GetValue()), locale.T(takes))
		}
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		err = locale.Errorf("unknown flag: --%s%s", visible(unknown.GetSpecifiedName()), meantFlag(c, unknown.GetSpecifiedName()))
	case errors.As(err, &unknown):
		err = locale.Errorf("unknown flag: -%s; flags have two dashes", visible(unknown.GetSpecifiedShortnames()))
	case errors.As(err, &empty):
		err = locale.Errorf("--%s needs a value", visible(empty.GetSpecifiedName()))
	}
	return &usageError{err}
}

// meantFlag ends the sentence about a flag that is not known.
func meantFlag(c *cobra.Command, name string) locale.Message {
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	if meant := spelling.Meant(name, known); meant != "" {
		return locale.M(": did you mean --%s?", meant)
	}
	return locale.T("")
}

// known refuses an argument that is none of the command's ValidArgs.
func known(c *cobra.Command, a []string) error {
	for _, name := range a {
		if !slices.Contains(c.ValidArgs, name) {
			return locale.Errorf("%q means nothing to %q%s", name, c.CommandPath(), instead(name, c.ValidArgs))
		}
	}
	return nil
}

// oneKnown asks for one of the command's ValidArgs; without any it lists them.
func oneKnown(c *cobra.Command, a []string) error {
	if len(a) == 0 {
		return locale.Errorf("%q needs one of %s", c.CommandPath(), strings.Join(c.ValidArgs, ", "))
	}
	return cobra.MatchAll(one, known)(c, a)
}

// one asks for one argument.
func one(c *cobra.Command, a []string) error { return some(c, a, 1, 1) }

// atMostOne asks for one argument or none.
func atMostOne(c *cobra.Command, a []string) error { return some(c, a, 0, 1) }

func some(c *cobra.Command, a []string, least, most int) error {
	switch {
	case len(a) < least:
		return locale.Errorf("an argument is missing: %s", c.UseLine())
	case len(a) > most:
		return locale.Errorf("%q is one argument too many: %s", visible(a[most]), c.UseLine())
	}
	return nil
}

// noCommand refuses an argument where only the name of a command could stand.
func noCommand(c *cobra.Command, a []string) error {
	if len(a) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if names == nil {
		return some(c, a, 0, 0)
	}
	return locale.Errorf("unknown command %q for %q%s", a[0], c.CommandPath(), instead(a[0], names))
}

// instead ends the sentence about a name that is not known.
func instead(name string, known []string) locale.Message {
	suggestion := locale.T("")
	if meant := spelling.Meant(name, known); meant != "" {
		suggestion = locale.M(": did you mean %s?", meant)
	}
	return locale.M("%s; known are %s", suggestion, strings.Join(known, ", "))
}
