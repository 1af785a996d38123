package posh

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"
)

// Options is one powershell.exe process as it is started.
type Options struct {
	Machine  Machine
	Env      *Env   // the process's environment; nil is an empty one
	Dir      string // where it starts, absolute, in the machine's own form
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	PID      int
	Codepage int                 // of the console: 65001 (also 0), 437 or 1252
	Commands []Command           // cmdlets of the machine, beside the built-in ones
	Drives   map[string]Provider // "HKLM": a drive; "Registry": what Registry::HKEY_LOCAL_MACHINE\… means

	core      bool          // as PowerShell 6.2 on Linux, which made the test vectors
	steps     int           // statements that may run; 0 is without limit
	matchTime time.Duration // see the constant of that name, which 0 stands for
}

// Machine is what a script can reach outside of its process. Paths are absolute
// and in the machine's own form (`C:\Windows\Temp`); names are matched without
// regard to case by the machine.
type Machine interface {
	Files

	// Find tells which program a name means for a process with that environment
	// and directory: the path that Get-Command shows. A name that holds a
	// separator is a path, absolute or relative to dir.
	Find(name, dir string, env *Env) (path string, ok bool)
	// Run runs a program to its end. The error is a program that could not be
	// started, or ctx's; an exit code other than 0 is none.
	Run(ctx context.Context, p Program) (code int, err error)
	// Start runs a program in the background; ctx bounds its start, not its life.
	Start(ctx context.Context, p Program) (Process, error)
	Processes() []ProcessInfo
	Kill(pid int) error // fs.ErrNotExist when there is none

	System() System
	// Environ and SetEnviron are what [Environment]::Get/SetEnvironmentVariable
	// reach with the targets "Machine" and "User"; an empty value removes.
	Environ(target string) (*Env, error)
	SetEnviron(target, name, value string) error
}

// System is what scripts learn about the machine itself.
type System struct {
	Computer string // NetBIOS name
	User     string // whose process this is, without its domain
	Domain   string // of the user; the computer's name for local accounts
	Admin    bool   // elevated
	Version  string // of the operating system: "10.0.14393.0"
	Root     string // C:\Windows
	Booted   time.Time
	Now      func() time.Time // the machine's clock; nil is the real one
	Zone     *time.Location   // nil is UTC
}

// Program is a native program to run. Args is the part of the command line
// behind the program, raw, exactly as Windows PowerShell 5.1 would hand it to
// CreateProcess: the program itself splits it.
type Program struct {
	Path   string // from Find
	Name   string // as the script wrote it
	Args   string
	Env    *Env
	Dir    string
	Stdin  io.Reader // nil is empty
	Stdout io.Writer // nil is thrown away
	Stderr io.Writer
	User   string // another account to run as, "" is the same
	Secret string // its password
}

// Process is a program in the background.
type Process interface {
	PID() int
	Done() <-chan struct{} // closed when it has ended
	Code() int             // the exit code, once it has ended
	Kill() error           // itself, not its children
}

// ProcessInfo is one line of Get-Process.
type ProcessInfo struct {
	PID, Parent int
	Name        string // without .exe
	Path        string
	Line        string // command line
	User        string
	Started     time.Time
}

// Files is the machine's file system. Errors wrap fs.ErrNotExist, fs.ErrExist,
// fs.ErrPermission, ErrSharing, ErrNotEmpty, ErrDirectory or ErrNotDirectory
// where one of them fits.
type Files interface {
	Open(path string, how Open) (File, error)
	Stat(path string) (FileInfo, error)
	List(path string) ([]FileInfo, error) // sorted by name
	Enter(path string) error              // the process's own directory, which nobody removes or renames meanwhile
	MakeDir(path string) error            // with its parents; fine when it is there
	Remove(path string) error             // a file or an empty directory; read-only ones too
	Rename(from, to string) error         // refuses to replace (fs.ErrExist)
	SetTimes(path string, written time.Time) error
	SetAttributes(path string, a Attributes) error
	Roots() []string // the drives: `C:\`
}

// Reasons why the file system refuses.
var (
	ErrSharing      = errors.New("another process has the file open")
	ErrNotEmpty     = errors.New("the directory is not empty")
	ErrDirectory    = errors.New("it is a directory")
	ErrNotDirectory = errors.New("it is not a directory")
)

// Open is how a file is opened, with the meaning and the numbers of .NET.
type Open struct {
	Mode   Mode
	Access Access
	Share  Share // what others may do meanwhile
}

type Mode int

const (
	CreateNew    Mode = 1 // fs.ErrExist when it is there
	Create       Mode = 2 // made or emptied
	OpenExisting Mode = 3 // fs.ErrNotExist when it is not there
	OpenOrCreate Mode = 4
	Truncate     Mode = 5 // emptied; fs.ErrNotExist when it is not there
	Append       Mode = 6 // made when it is not there; starts at the end
)

type Access int

const (
	Read      Access = 1
	Write     Access = 2
	ReadWrite Access = 3
)

type Share int

const (
	ShareNone      Share = 0
	ShareRead      Share = 1
	ShareWrite     Share = 2
	ShareReadWrite Share = 3
	ShareDelete    Share = 4
)

// Attributes are those of Windows; other bits are not kept.
type Attributes int

const (
	ReadOnly  Attributes = 1
	Hidden    Attributes = 2
	SystemBit Attributes = 4
	Directory Attributes = 16
	Archive   Attributes = 32
)

// File is an open file. A sharing violation shows when it is opened.
type File interface {
	io.ReadWriteSeeker
	io.Closer
	Truncate(size int64) error
	Sync() error
}

// FileInfo is what is known about a file.
type FileInfo struct {
	Name       string // as it is spelled on disk
	Size       int64
	Attributes Attributes
	Created    time.Time
	Written    time.Time
}

// IsDir tells a directory.
func (i FileInfo) IsDir() bool { return i.Attributes&Directory != 0 }

// Provider is a drive that is not the file system: the registry. Paths are those
// behind the drive's colon, without a separator in front.
type Provider interface {
	// Stat says whether there is such an item, and whether it may hold others.
	Stat(path string) (found, container bool, err error)
	Item(path string) (any, error) // what Get-Item gives; fs.ErrNotExist
	Children(path string) ([]Child, error)
	// New makes an item; force also makes its parents and takes one that is there.
	New(path, kind string, value any, force bool) (any, error)
	Remove(path string, recurse bool) error
	Properties(path string) ([]Property, error)
	// SetProperty changes or makes one. kind is "" when the script named none.
	SetProperty(path string, p Property) error
	RemoveProperty(path, name string) error // fs.ErrNotExist
}

// Maker is a Provider whose items are made by New-Item with parameters of their
// own.
type Maker interface {
	Provider
	NewParams(path string) []Param // none where New-Item has its own alone
	Make(path string, values map[string]any, force bool) (any, error)
}

// Child is one item inside of a container, by its own name.
type Child struct {
	Name      string
	Container bool
	Item      any
}

// Property is one value of an item, as Get-ItemProperty shows it.
type Property struct {
	Name  string
	Value any
	Kind  string // "DWord", "String", …
}

// Command is a cmdlet. For each object from the pipeline, or once when there is
// no pipeline, Run is called with the parameters bound; Begin comes first and End
// last, once each, and any of the three may be nil.
type Command struct {
	Name    string
	Aliases []string
	Params  []Param
	Class   string // .NET's name, for error ids: Microsoft.PowerShell.Commands.GetContentCommand; "" makes one from Name
	Begin   func(*Call) error
	Run     func(*Call) error
	End     func(*Call) error
	Asks    bool   // has -WhatIf and -Confirm
	Refused string // why it does not run here, whatever its arguments; "" is a cmdlet that runs

	adapt func(*shell, *Command, []actual) *Command // to the place that its arguments name; nil: it is the same everywhere
}

// Param is one parameter. The common ones (ErrorAction, Verbose …) are there
// without being listed.
type Param struct {
	Name     string
	Aliases  []string
	Type     string   // as in a type literal: "string", "string[]", "int", "switch", "scriptblock", "hashtable", "object[]"; "" is any value, "-" is refused
	Pos      int      // 1 is the first that needs no name; 0 must be named
	Need     bool     // mandatory
	Pipe     bool     // takes the pipeline's objects themselves
	PipeName bool     // takes their property of this name
	Rest     bool     // takes all further arguments that have no name
	Values   []string // what it may be (ValidateSet)
}

// Refused tells that the cmdlet has the parameter in Windows PowerShell, and
// refuses it here.
func (p Param) Refused() bool { return p.Type == "-" }

// ErrOutside is wrapped by every refusal: the script uses something that is not
// in the documented subset. Scripts cannot catch it.
var ErrOutside = errors.New("outside of the subset of PowerShell that runs here")

// Error is an error that scripts see as an ErrorRecord.
type Error struct {
	ID        string // FullyQualifiedErrorId, without the command's part
	Message   string // of the exception
	Details   string // what is shown instead, where the record has its own text
	Exception string // .NET's name; "" is System.Management.Automation.RuntimeException
	Category  string // "ObjectNotFound"; "" is NotSpecified
	Target    any

	record *errorRecord
	inner  *Error
}

func (e *Error) Error() string { return e.Message }

// NotFound makes the familiar error about a path.
func NotFound(path string) *Error {
	return &Error{ID: "PathNotFound", Message: "Cannot find path '" + path + "' because it does not exist.",
		Exception: "System.Management.Automation.ItemNotFoundException", Category: "ObjectNotFound", Target: path}
}

// Is lets errors.Is(err, fs.ErrNotExist) tell what was not found.
func (e *Error) Is(target error) bool {
	return target == fs.ErrNotExist && e.Category == "ObjectNotFound"
}
