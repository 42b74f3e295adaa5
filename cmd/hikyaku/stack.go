package main

import (
	"cmp"
	"maps"
	"os"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/dev"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
)

// stackFlags say which stack a command works with.
type stackFlags struct {
	clibase.Place

	bucketless bool           // the command needs no bucket
	found      *clibase.Stack // once environ has looked for it; nil: none is named
	clock      func() time.Time
}

func (f *stackFlags) add(c *cobra.Command) {
	f.addAccount(c)
	f.bucketless = false
	c.Flags().StringVar(&f.Bucket, "bucket", "", "the stack's bucket, instead of --stack (default: HIKYAKU_BUCKET)")
}

// addAccount is add for commands that need no bucket.
func (f *stackFlags) addAccount(c *cobra.Command) {
	f.bucketless = true
	f.addDeployed(c)
	c.Flags().StringVar(&f.Prefix, "prefix", "", "prefix of the stack's secrets and keys, instead of --stack (default: HIKYAKU_PREFIX)")
}

// addDeployed is add for commands that work on what is deployed, which a name alone finds.
func (f *stackFlags) addDeployed(c *cobra.Command) {
	c.Flags().StringVar(&f.Stack, "stack", "", "name of the deployed stack, which knows all other settings (default: HIKYAKU_STACK)")
	accountFlags(c, &f.Place)
}

// accountFlags say with whose rights, and where, a command calls AWS.
func accountFlags(c *cobra.Command, p *clibase.Place) {
	c.Flags().StringVar(&p.Profile, "profile", "", "profile of your AWS configuration (default: AWS_PROFILE)")
	c.Flags().StringVar(&p.Region, "region", "", "AWS region (default: AWS_REGION, or the profile's)")
	c.Flags().Bool(devFlag, false, "work with the stack that 'hikyaku dev' runs on this machine")
}

// environ is the environment of one of the stack's functions, with the caller's own
// credentials. What a file of variables says counts before the environment, and a flag
// before both. Of a stack that is named, the settings are those of the function that is
// deployed.
func (f *stackFlags) environ(c *cobra.Command, vars, function string) (lambdafn.Environ, error) {
	place := f.Place
	switch {
	case place.Stack != "" && vars != "":
		return lambdafn.Environ{}, &usageError{locale.Errorf("--stack and --env-vars: give one of the two, for each says with which settings the command works")}
	case place.Stack != "" && place.Prefix+place.Bucket != "":
		return lambdafn.Environ{}, &usageError{locale.Errorf("--stack knows prefix and bucket: give it alone, or --prefix and --bucket in its place")}
	}
	place.Stack = f.name(vars)
	o, err := place.Environ(c.Context(), localstack.Resource(function))
	if err != nil {
		return o.Environ, err
	}
	if s := o.Stack; s != nil {
		f.found = s
		if o.Vars[dev.ClockVariable] != "" {
			o.HTTP = ownMachine() // as the functions of a development stack
		}
		say(c.ErrOrStderr(), "Account %s, %s, stack %s", s.Account, s.Region, visible(s.Name))
		if o.Now = devClock(o.Vars); o.Now != nil {
			f.clock = o.Now
		}
		return o.Environ, nil
	}
	if vars == "" {
		return o.Environ, f.which(o.Vars)
	}
	own, err := readVars(vars, function)
	maps.Copy(o.Vars, own)
	for name, value := range map[string]string{"HIKYAKU_PREFIX": f.Prefix, "HIKYAKU_BUCKET": f.Bucket} {
		if value != "" {
			o.Vars[name] = value
		}
	}
	return o.Environ, cmp.Or(err, f.which(o.Vars))
}

// now is the stack's time, once environ has looked for it: this machine's, but for a
// development stack, whose time may run faster.
func (f *stackFlags) now() time.Time {
	if f.clock != nil {
		return f.clock()
	}
	return time.Now()
}

// which is an error where nothing says which stack is meant.
func (f *stackFlags) which(vars map[string]string) error {
	switch {
	case vars["HIKYAKU_PREFIX"] != "":
		return nil
	case f.bucketless:
		return locale.Errorf("no stack is named: give --stack NAME (HIKYAKU_STACK), or --prefix (HIKYAKU_PREFIX)")
	}
	return locale.Errorf("no stack is named: give --stack NAME (HIKYAKU_STACK), or --prefix and --bucket (HIKYAKU_PREFIX, HIKYAKU_BUCKET)")
}

// name is the stack's, if the settings are to be those of one that is named: by its
// flag, or by the environment where no other place is given.
func (f *stackFlags) name(vars string) string {
	if f.Stack == "" && vars+f.Prefix+f.Bucket == "" {
		return os.Getenv("HIKYAKU_STACK")
	}
	return f.Stack
}

// onStack is a command to run next, for the stack that was named in this one.
func (f *stackFlags) onStack(c *cobra.Command, command string) string {
	switch {
	case command != "" && asked(c, devFlag):
		command += " --dev"
	case command != "" && f.Stack != "":
		command += " --stack " + visible(f.Stack)
	}
	return command
}

// open opens the stack with the caller's own credentials and the settings of its
// token refresher.
func (f *stackFlags) open(c *cobra.Command) (lambdafn.Environ, *lambdafn.Base, error) {
	return f.openAs(c, localstack.TokenRefresh)
}

// openAs opens the stack with the settings of one of its functions.
func (f *stackFlags) openAs(c *cobra.Command, function string) (lambdafn.Environ, *lambdafn.Base, error) {
	e, err := f.environ(c, "", function)
	if err != nil {
		return e, nil, err
	}
	base, err := clibase.Open(e)
	return e, base, err
}
