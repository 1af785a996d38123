package winguest

import (
	"errors"
	"fmt"
	"io/fs"
)

// Code is an error code of Windows: of Win32 below 65536, an HRESULT above.
type Code uint32

// The codes that the machine's own parts answer with.
const (
	FileNotFound       Code = 2
	PathNotFound       Code = 3
	AccessDenied       Code = 5
	InvalidDrive       Code = 15
	NotReady           Code = 21
	SharingViolation   Code = 32
	NotSupported       Code = 50
	BadNetPath         Code = 53
	FileExists         Code = 80
	InvalidParameter   Code = 87
	DiskFull           Code = 112
	InvalidName        Code = 123
	DirNotEmpty        Code = 145
	AlreadyExists      Code = 183
	BadExe             Code = 193
	TooLong            Code = 206
	NoMoreItems        Code = 259
	InvalidDirectory   Code = 267
	Disabled           Code = 1058
	ServiceRunning     Code = 1056
	NoService          Code = 1060
	ServiceNoControl   Code = 1052
	ServiceNotActive   Code = 1062
	ServiceExists      Code = 1073
	ServiceDependants  Code = 1051
	ShutdownInProgress Code = 1115
	NoShutdown         Code = 1116
	ShutdownScheduled  Code = 1190
	NoSuchUser         Code = 1317
	UserExists         Code = 1316
	NoSuchGroup        Code = 1376
	InGroup            Code = 1378
	NotInGroup         Code = 1377
	LogonFailure       Code = 1326
	AccountDisabled    Code = 1331
	NoAccount          Code = 1332
	NoSuchProcess      Code = 1168
	NetUserNotFound    Code = 2221
	NetGroupNotFound   Code = 2220
	NetUserExists      Code = 2224
	PasswordPolicy     Code = 2245
	NotOnSpecial       Code = 1371
	CertNotFound       Code = 0x80092004
	TaskNotFound       Code = 0x80070002
	TaskRunning        Code = 0x41301
	TaskNeverRun       Code = 0x41303
	TaskTerminated     Code = 0x41306
	BadLogon           Code = 0x8007052e
)

var texts = map[Code]string{
	FileNotFound:       "The system cannot find the file specified.",
	PathNotFound:       "The system cannot find the path specified.",
	AccessDenied:       "Access is denied.",
	InvalidDrive:       "The system cannot find the drive specified.",
	NotReady:           "The device is not ready.",
	SharingViolation:   "The process cannot access the file because it is being used by another process.",
	NotSupported:       "The request is not supported.",
	BadNetPath:         "The network path was not found.",
	FileExists:         "The file exists.",
	InvalidParameter:   "The parameter is incorrect.",
	DiskFull:           "There is not enough space on the disk.",
	InvalidName:        "The filename, directory name, or volume label syntax is incorrect.",
	DirNotEmpty:        "The directory is not empty.",
	AlreadyExists:      "Cannot create a file when that file already exists.",
	BadExe:             "This is not a valid Win32 application.",
	TooLong:            "The filename or extension is too long.",
	NoMoreItems:        "No more data is available.",
	InvalidDirectory:   "The directory name is invalid.",
	Disabled:           "The service cannot be started, either because it is disabled or because it has no enabled devices associated with it.",
	ServiceRunning:     "An instance of the service is already running.",
	NoService:          "The specified service does not exist as an installed service.",
	ServiceNoControl:   "The requested control is not valid for this service.",
	ServiceNotActive:   "The service has not been started.",
	ServiceExists:      "The specified service already exists.",
	ServiceDependants:  "A stop control has been sent to a service that other running services are dependent on.",
	ShutdownInProgress: "A system shutdown is in progress.",
	NoShutdown:         "Unable to abort the system shutdown because no shutdown was in progress.",
	ShutdownScheduled:  "A system shutdown has already been scheduled.",
	NoSuchUser:         "The specified account does not exist.",
	UserExists:         "The specified account already exists.",
	NoSuchGroup:        "The specified local group does not exist.",
	InGroup:            "The specified account name is already a member of the group.",
	NotInGroup:         "The specified account name is not a member of the group.",
	LogonFailure:       "The user name or password is incorrect.",
	AccountDisabled:    "This user can't sign in because this account is currently disabled.",
	NoAccount:          "No mapping between account names and security IDs was done.",
	NoSuchProcess:      "Element not found.",
	NetUserNotFound:    "The user name could not be found.",
	NetGroupNotFound:   "The group name could not be found.",
	NetUserExists:      "The account already exists.",
	PasswordPolicy:     "The password does not meet the password policy requirements. Check the minimum password length, password complexity and password history requirements.",
	NotOnSpecial:       "Cannot perform this operation on built-in accounts.",
	CertNotFound:       "Cannot find object or property.",
	TaskNotFound:       "The system cannot find the file specified.",
	BadLogon:           "The user name or password is incorrect.",
}

func (c Code) Error() string {
	if t, ok := texts[c]; ok {
		return t
	}
	return fmt.Sprintf("error 0x%08x", uint32(c))
}

// Is tells which of the errors of io/fs the code stands for.
func (c Code) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return c == FileNotFound || c == PathNotFound || c == InvalidDrive || c == BadNetPath
	case fs.ErrExist:
		return c == FileExists || c == AlreadyExists
	case fs.ErrPermission:
		return c == AccessDenied
	case fs.ErrInvalid:
		return c == InvalidName || c == InvalidParameter
	}
	return false
}

// CodeOf is the code of an error of this package, 0 for nil, and that of a
// general failure for any other.
func CodeOf(err error) Code {
	var c Code
	switch {
	case err == nil:
		return 0
	case errors.As(err, &c):
		return c
	}
	return 31
}

// PathError is what went wrong with a path of the machine, in its own form.
type PathError = fs.PathError

func fail(op, path string, c Code) error { return &PathError{Op: op, Path: path, Err: c} }
