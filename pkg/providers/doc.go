// Package providers is the vocabulary that the clients of all providers share:
// how a credential is stored and handed over, what can go wrong, and which
// values the providers send in more than one shape. Each provider has a package
// below this one, and a sandbox beside it.
//
// # Credentials
//
// Three documents describe a credential. A Connection is what an operator
// configured; a Grant is the complete answer of a token endpoint; a Token is
// all that a caller needs for its calls. They are JSON in a secret store. In
// memory their values are Secrets, which cannot print themselves.
//
// An Authority, one in each provider's package, turns a Connection into a
// Grant and probes a Token. Clients do not know it: they take a TokenSource,
// which hands out the newest Token and is told of each one that was rejected.
// For a program without a token refresher Fixed is enough:
//
//	token, err := providers.ParseToken(document)
//	if err != nil {
//		return err
//	}
//	client := yappli.New(providers.Fixed(token), nil)
//
// # Errors
//
// Every failure of a call is an *Error that wraps one entry of the vocabulary.
// Decide with errors.Is, never by text:
//
//	switch {
//	case errors.Is(err, providers.ErrNotFound):
//		// the object is not there
//	case providers.Retryable(err):
//		// later, and not before providers.RetryAfter(err) has passed
//	case errors.Is(err, providers.ErrRevoked):
//		// a person has to authorize again
//	}
//
// No error holds a body, a URL or a token.
//
// # Lists
//
// Clients yield lists as iter.Seq2[T, error]. The first error comes with a
// zero record and ends the list.
package providers
