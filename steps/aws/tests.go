package aws

import (
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Test has an instance of the image started and provisioners run on it. As long as they have not all come to a good end,
// the image is not marked as a result, not shared and not copied.
//
// The instance is one like that of the build, in all that is not said here: it is in the same
// network and groups, is launched with the same key pair, and is reached in the same way.
type Test struct {
	// The type of the instance. Default: that of the build.
	InstanceType string `json:"instance_type,omitempty"`
	// Text that the instance gets at its first boot. Default: that of the build.
	UserData string `json:"user_data,omitempty"`
	// A file with the user data, in place of `user_data`. Default: that of the build.
	UserDataFile steps.File `json:"user_data_file,omitzero"`

	of *EBS
}

// test is a test that belongs to a build.
type test struct {
	Test
	name      string
	provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine]
}

// Test returns the options of a test, all unset.
func (b *EBS) Test() steps.Test { return &Test{of: b} }

// Check says what is wrong with the options.
func (o *Test) Check() []steps.OptionError {
	f := optionErrors{}
	f.given("instance_type", o.InstanceType, wrongInstanceType)
	m := EBS{InstanceOptions: InstanceOptions{MachineOptions: o.machine(o.of.MachineOptions)}, cloud: o.of.cloud}
	f.exclusive("user_data_file", o.UserDataFile.Path != "", "user_data", o.UserData != "")
	if o.UserData != "" || o.UserDataFile.Path != "" {
		m.checkUserData(&f)
	}
	return f.OptionErrors
}

// Add makes it a test of the build.
func (o *Test) Add(name string, provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) {
	o.of.tests = append(o.of.tests, test{*o, name, provision})
}

// machine are the options of the test's instance. Its volumes are those of the image.
func (o *Test) machine(m MachineOptions) MachineOptions {
	m.LaunchMappings, m.BuilderVolume = nil, BuilderVolume{}
	if o.InstanceType != "" {
		m.InstanceType, m.InstanceTypes = o.InstanceType, nil
	}
	if o.UserData != "" || o.UserDataFile.Path != "" {
		m.UserData, m.UserDataFile = o.UserData, o.UserDataFile
	}
	return m
}

// test adds the steps of all tests of the image, and returns those after which it has
// passed them. The tests are independent of each other. An image that was not published
// stays when one of them fails: the next attempt tests the same image.
func (w *wiring) test(created dag.Out[Image], of registered) (passed []dag.Key) {
	if len(w.tests) == 0 {
		return nil
	}
	step := Candidate{Image: created}
	if of.image.Set() {
		step = Candidate{Registered: created}
	}
	image := dag.Add(w.g, w.build, "candidate", step)
	dag.Stay(w.g, created, image)
	for _, sn := range of.snapshots {
		dag.Stay(w.g, sn, image)
	}
	for _, t := range w.tests {
		launch := w.launch
		launch.Checked, launch.Keys, launch.Values = nil, nil, dag.Out[CheckedValues]{}
		launch.Encrypt = Encrypt{} // its volumes are as the image has them
		launch.Build, launch.MachineOptions, launch.Source = w.build.Own()+" "+t.name, t.machine(launch.MachineOptions), image
		if t.InstanceType != "" {
			launch.Spot.SpotTypes = nil
		}
		launch.Network = dag.Add(w.g, w.build, t.name+".network", w.network(launch.types(launch.Spot))) // the build's, if the type is
		instance, _, m := w.boot(t.name+".", launch)
		pass := dag.Add(w.g, w.build, t.name+".pass", Pass{On: t.provision(m).Take(), Test: t.name})
		dag.Serve(w.g, instance, pass)
		passed = append(passed, pass.Key())
	}
	return passed
}
