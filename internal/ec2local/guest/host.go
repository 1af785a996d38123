package guest

import (
	"context"
	"io"
	"time"
)

// A Host makes and keeps the guests of one server: one directory of guests and
// of layers, one way of containing them.
type Host interface {
	// Name is the word the user chose the host by: sandbox, process or none.
	Name() string
	// Create lays down a guest that has never run. It does not boot it.
	Create(id string, s Spec) (Machine, error)
	// Open returns a guest that an earlier server made; its files are as it
	// left them. The error is fs.ErrNotExist for a guest that never was.
	Open(id string) (Machine, error)
	// RemoveLayer deletes a layer that no guest and no image stands on. One that
	// was imported is its user's, and stays: see [RemoveImport].
	RemoveLayer(ctx context.Context, layer string) error
	// Export writes what layers hold (topmost first) as one tar stream.
	Export(ctx context.Context, w io.Writer, layers []string) error
	// Close stops every guest; their files stay.
	Close() error
}

// Spec is what a guest is made of. It is stored with the guest.
type Spec struct {
	Platform      string   `json:"platform,omitempty"` // windows, or "" for Linux
	Hostname      string   `json:"hostname"`
	User          string   `json:"user"`           // login account of the image: ubuntu, admin, ec2-user ...
	AuthorizedKey string   `json:"authorized_key"` // one line of authorized_keys, "" for none
	UserData      []byte   `json:"user_data"`      // run at first boot only
	Layers        []string `json:"layers"`         // of the image, topmost first; none for a catalogue image
	Addr          string   `json:"addr"`           // the loopback address that is the guest's own, such as 127.16.0.7
	Release       Release  `json:"release"`        // what the image says it is

	// Pace is how long a boot takes until SSH or WinRM answers, at least.
	Pace time.Duration `json:"pace,omitempty"`
}

// Release is what a catalogue image tells about itself, on Linux in the guest's
// /etc/os-release; the programs there are the host's all the same.
type Release struct {
	ID      string `json:"id"`      // ubuntu
	Version string `json:"version"` // 16.04
	Name    string `json:"name"`    // Ubuntu 16.04 LTS
}

// A Machine is one guest, running or not. Its methods may be called from many
// goroutines.
type Machine interface {
	// Boot starts the guest and its servers; the first boot runs user data.
	// exited is called once if the guest ends by itself, and not after Stop.
	Boot(ctx context.Context, exited func(Exit)) error
	// Stop ends every process of the guest. Stopping a stopped guest is no error.
	Stop(ctx context.Context) error
	// Ports maps a service ("ssh", "winrm", "winrms") to the port of Addr that
	// serves it, for those that the guest has. Known after the first Boot.
	Ports() map[string]int
	// Freeze makes what the guest wrote a layer and returns the layers that an
	// image of it consists of, topmost first. The guest goes on from there. A
	// running guest is copied as it is, like a volume at that instant; a
	// stopped one costs a rename.
	Freeze(ctx context.Context) (layers []string, err error)
	// Console is what the guest printed while it booted, host keys included.
	Console() []byte
	// PasswordData is the password that the guest gave its administrator at its
	// first boot, encrypted to Spec.AuthorizedKey and in base64, as GetPasswordData
	// answers; "" when it gave none.
	PasswordData() string
	// Remove stops the guest and deletes its files. Layers it froze stay.
	Remove(ctx context.Context) error
}

// Exit says why a guest ended by itself.
type Exit string

const (
	PowerOff Exit = "poweroff" // shutdown, halt, poweroff in the guest
	Reboot   Exit = "reboot"   // reboot, shutdown -r: the caller boots it again
	Crash    Exit = "crash"    // its first process died
)
