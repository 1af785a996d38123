package dag

// Artifact is something that a run is for, and its user looks for afterwards.
type Artifact struct {
	Kind   string `json:"kind,omitempty"`   // image, volume
	ID     string `json:"id"`               // what it is called where it is
	Region string `json:"region,omitempty"` // where it is
	Name   string `json:"name,omitempty"`   // what the user calls it
	Owner  string `json:"owner,omitempty"`  // whose it is, if that is not who has made the others
	Maker  string `json:"maker,omitempty"`  // what has made it, in Packer's words, if that is not the builder
	Run    string `json:"run,omitempty"`    // the run that has made it, if that is another one
}

// producer is implemented by outputs that hold artifacts. They are kept in the
// step's record.
type producer interface{ Artifacts() []Artifact }

// reporter is implemented by outputs with something to report that is worth knowing when
// what it tells of is gone, such as what was installed on a machine. It is kept in the step's record.
type reporter interface{ Report() string }

// Artifacts is an artifact's list of itself, for outputs that embed it.
func (a Artifact) Artifacts() []Artifact { return []Artifact{a} }
