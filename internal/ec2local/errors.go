package ec2local

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/imgflow/imgflow/internal/ec2local/model"
)

// An apiError is an answer that refuses, in EC2's words.
type apiError struct {
	Code    string
	Message string
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

func fail(code, format string, a ...any) error {
	return &apiError{code, fmt.Sprintf(format, a...)}
}

func missing(name string) error {
	return fail("MissingParameter", "The request must contain the parameter %s", name)
}

func invalid(format string, a ...any) error {
	return fail("InvalidParameterValue", format, a...)
}

// asAPI makes any error one that can be answered.
func asAPI(err error) *apiError {
	var a *apiError
	if errors.As(err, &a) {
		return a
	}
	var m *model.Error
	if errors.As(err, &m) {
		return &apiError{m.Code, m.Message}
	}
	return &apiError{"InternalError", "An internal error has occurred: " + err.Error()}
}

// status is the HTTP status that goes with a code.
func status(code string) int {
	switch code {
	case "AuthFailure":
		return http.StatusUnauthorized
	case "MethodNotAllowed":
		return http.StatusMethodNotAllowed
	case "UnauthorizedOperation", "OptInRequired", "AccessDenied", "SignatureDoesNotMatch", "ExpiredToken":
		return http.StatusForbidden
	case "DryRunOperation":
		return http.StatusPreconditionFailed
	case "InternalError", "InsufficientInstanceCapacity", "InsufficientAddressCapacity":
		return http.StatusInternalServerError
	case "RequestLimitExceeded", "Unavailable", "ServiceUnavailable":
		return http.StatusServiceUnavailable
	case "NoSuchEntity":
		return http.StatusNotFound
	case "EntityAlreadyExists", "DeleteConflict", "LimitExceeded":
		return http.StatusConflict
	}
	return http.StatusBadRequest
}
