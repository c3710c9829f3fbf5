package authwright

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// An ErrorCode is an error a client may see, spelled as it is on the wire.
//
// A code is itself an error: an [Authenticator] that returns [ErrAccessDenied]
// makes the server answer access_denied. Any error that is neither an ErrorCode
// nor an [*Error] is logged and answered server_error.
type ErrorCode string

// Codes of RFC 6749, RFC 6750, RFC 7591, RFC 8707 and OpenID Connect Core, section
// 3.1.2.6.
const (
	ErrInvalidRequest          ErrorCode = "invalid_request"
	ErrInvalidClient           ErrorCode = "invalid_client"
	ErrInvalidGrant            ErrorCode = "invalid_grant"
	ErrInvalidScope            ErrorCode = "invalid_scope"
	ErrInvalidTarget           ErrorCode = "invalid_target"
	ErrUnauthorizedClient      ErrorCode = "unauthorized_client"
	ErrUnsupportedGrantType    ErrorCode = "unsupported_grant_type"
	ErrUnsupportedResponseType ErrorCode = "unsupported_response_type"
	ErrInvalidToken            ErrorCode = "invalid_token"
	ErrInsufficientScope       ErrorCode = "insufficient_scope"
	ErrInvalidClientMetadata   ErrorCode = "invalid_client_metadata"
	ErrInvalidRedirectURI      ErrorCode = "invalid_redirect_uri"
	ErrAccessDenied            ErrorCode = "access_denied"
	ErrLoginRequired           ErrorCode = "login_required"
	ErrConsentRequired         ErrorCode = "consent_required"
	ErrServerError             ErrorCode = "server_error"
	ErrTemporarilyUnavailable  ErrorCode = "temporarily_unavailable"
)

// Error implements the error interface.
func (c ErrorCode) Error() string { return "authwright: " + string(c) }

func (c ErrorCode) status() int {
	switch c {
	case ErrInvalidClient, ErrInvalidToken:
		return http.StatusUnauthorized
	case ErrInsufficientScope:
		return http.StatusForbidden
	case ErrServerError:
		return http.StatusInternalServerError
	case ErrTemporarilyUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// An Error is an [ErrorCode] with a description for the client's developer and a
// cause for the server's log.
type Error struct {
	Code        ErrorCode
	Description string // sent to the client; never put a secret or an internal into it
	Err         error  // logged, never sent; may be nil
	Status      int    // of the HTTP answer; zero means the code's own

	// RetryAfter is sent with the answer if it is positive.
	RetryAfter time.Duration
}

// Error implements the error interface. What it returns is for logs.
func (e *Error) Error() string {
	s := e.Code.Error()
	if e.Description != "" {
		s += ": " + e.Description
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap lets [errors.Is] match both the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

func (e *Error) status() int {
	if e.Status != 0 {
		return e.Status
	}
	return e.Code.status()
}

// asError turns any error into one that is safe to send.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var code ErrorCode
	if errors.As(err, &code) {
		return &Error{Code: code, Err: err}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return unavailable(err)
	}
	return &Error{Code: ErrServerError, Err: err}
}

// hostError is err, which the host's own code returned. If that has a storage like ours behind
// it, it must not pass for what our storage says of the grant.
func hostError(err error) error {
	if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
		return err
	}
	e := *asError(err)
	e.Err = errors.New(err.Error())
	return &e
}

// unavailable is the answer when the storage could not answer: the client may try
// again, and keeps what it has.
func unavailable(err error) *Error {
	return &Error{Code: ErrTemporarilyUnavailable, Description: "try again later", RetryAfter: time.Second, Err: err}
}

// printable restricts text to what RFC 6749, section 4.1.2.1 allows in an
// error_description: printable ASCII without " and \.
func printable(text string) string {
	clean := true
	for i := range len(text) {
		clean = clean && isPrintable(text[i])
	}
	if clean {
		return text
	}
	b := []byte(text)
	for i, c := range b {
		if !isPrintable(c) {
			b[i] = '?'
		}
	}
	return string(b)
}

func isPrintable(c byte) bool { return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\' }
