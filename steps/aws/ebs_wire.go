package aws

import (
	"cmp"
	"maps"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// wiring adds the steps of one build to a graph.
type wiring struct {
	*EBS
	g     *dag.Graph
	build dag.Build

	source    dag.Out[SourceImage]
	key       dag.Out[comm.Key]
	launch    Launch // of the machine that is provisioned
	instance  dag.Out[Instance]
	values    dag.Out[CheckedValues]
	volumes   dag.Out[Volumes]
	access    dag.Out[CheckedAccess]
	tunnel    dag.Out[ConnectEndpoint]
	fast      map[string]dag.Out[FoundTemplate] // of fast launch, by region
	temporary bool                              // a group is to be left
	surrogate *EBSSurrogate                     // that makes the image of volumes
	swapped   dag.Out[Volumes]                  // that change places for the image
}

// Wire adds the steps of the build: those that make a machine, those of its
// provisioners, those that make an image of it and its copies. Prepare must have
// been called before.
func (b *EBS) Wire(g *dag.Graph, build dag.Build, provision func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) steps.Made {
	w := &wiring{EBS: b, g: g, build: build}
	return w.capture(provision(w.machine()))
}

// machine adds the steps up to a machine that provisioners can work on.
func (w *wiring) machine() dag.Out[comm.Machine] {
	g, bd := w.g, w.build
	access := func(region string) dag.Out[CheckedAccess] {
		return dag.Add(g, bd, named("access", region, w.place.Region), CheckAccess{Place{w.place.Account, region}})
	}
	here := access(w.place.Region)
	w.access = here
	w.source = dag.Add(g, bd, "source", Source{Place: w.place, SourceOptions: w.SourceOptions, NeedHVM: w.needHVM(), NeedWindows: w.askPassword(), Access: here})
	w.EBS = w.boundTo(w.source)
	tags := withBlocks(w.RunTags, w.RunTag)
	launch := Launch{Place: w.place, Build: bd.Own(), MachineOptions: w.MachineOptions, Spot: w.SpotOptions.effective(), PublicIP: w.PublicIP,
		Source: w.source, KeyName: w.KeyPairName, GroupIDs: w.groupIDs()}
	if !w.SkipCreateAMI {
		for _, r := range w.resultRegions() {
			launch.Checked = append(launch.Checked, dag.Add(g, bd, named("name-check", r, w.place.Region),
				NameCheck{Place: Place{w.place.Account, r}, Name: w.AMIName, Force: w.force(), Access: access(r)}))
		}
	}
	launch.Keys = w.checkKeys(access)
	w.fast = w.templates(access)
	if w.encrypts() {
		launch.Encrypt = Encrypt{All: true, Key: w.keyOf(w.place.Region, w.place.Region)}
	}
	w.values = w.checkValues()
	launch.Values = w.values
	launch.Network = dag.Add(g, bd, "network", w.network(w.types(w.SpotOptions)))
	if w.byTunnel() {
		w.tunnel = dag.Add(g, bd, "connect-endpoint", FindConnectEndpoint{Place: w.place, Network: launch.Network, ID: w.ConnectEndpoint})
	}
	if launch.Spot.byPrice() {
		launch.Prices = dag.Add(g, bd, "spot-prices", SpotPrices{Place: w.place, Types: w.types(launch.Spot), Source: w.source})
	}
	if w.temporaryKey() {
		w.key = dag.Add(g, bd, "key", comm.GenerateKey{Type: w.keyType(), Bits: w.keyBits()})
		launch.KeyPair = dag.Add(g, bd, "keypair", ImportKey{Place: w.place, Key: w.key, Name: w.TemporaryKeyName, Tags: tags, Access: here})
	}
	if w.temporaryProfile() {
		role := dag.Add(g, bd, "role", MakeRole{Place: w.place, Tags: tags, Access: here})
		launch.Profile = dag.Add(g, bd, "profile", MakeProfile{Place: w.place, Role: role, Tags: tags})
		launch.Granted = dag.Add(g, bd, "grant", GrantPolicy{Role: role, Profile: launch.Profile, Policy: w.TemporaryPolicy})
	}
	if w.temporaryGroup() {
		group := dag.Add(g, bd, "group", Group{Place: w.place, Network: launch.Network, Tags: tags, Access: here})
		launch.Groups = []dag.Out[SecurityGroup]{group}
		if !w.bySession() {
			admit := w.admit(group, launch.Network)
			admit.Via = w.tunnel
			launch.Admitted = dag.Add(g, bd, "admit", admit)
		}
		w.temporary = true
	}
	w.launch = launch
	var endpoint dag.Out[comm.Endpoint]
	var m dag.Out[comm.Machine]
	w.instance, endpoint, m = w.boot("", launch)
	for _, r := range slices.Sorted(maps.Keys(w.fast)) {
		g.Sequence(w.instance.Key(), w.fast[r].Key())
	}
	if w.surrogate != nil && w.surrogate.UseCreateImage && !w.SkipCreateAMI {
		w.swapped = dag.Add(g, bd, "volumes-to-swap", FindVolumes{Instance: w.instance, Running: endpoint, Swap: w.surrogate.RootDevice.SourceDevice})
	}
	if len(outliving(w.LaunchMappings)) > 0 {
		w.volumes = dag.Add(g, bd, "volumes", FindVolumes{Instance: w.instance, Running: endpoint})
	}
	return m
}

// network looks for where instances of the types can be.
func (w *wiring) network(types []string) FindNetwork {
	return FindNetwork{Place: w.place, NetworkOptions: w.NetworkOptions, GroupIDs: w.groupIDs(), KeyName: w.KeyPairName,
		Access: w.access}.of(types)
}

// boot adds the steps from a launch to a machine that lets us in. Their names begin with
// a prefix; that of a build has none.
func (w *wiring) boot(prefix string, launch Launch) (dag.Out[Instance], dag.Out[comm.Endpoint], dag.Out[comm.Machine]) {
	g, bd := w.g, w.build
	if w.protocol() == "ssh" && !launch.hasUserData() && (w.HostKey == "" || w.HostKey == "preset") {
		launch.HostKey = dag.Add(g, bd, prefix+"host-key", comm.GenerateHostKey{Scope: launch.Build})
	}
	instance := dag.Add(g, bd, prefix+"launch", launch)
	endpoint := dag.Add(g, bd, prefix+"wait", Wait{Instance: instance.Take(), Source: launch.Source, HostKey: launch.HostKey,
		KeyFrom: w.HostKey, Communicator: w.protocol(), TLS: w.winrm() && w.UseSSL, Interface: w.Interface, User: w.user(), Tested: prefix != "",
		Stops: w.DisableStop && prefix == ""})
	connect := comm.Connect{To: endpoint.Take(), SSH: w.SSH, Key: w.key, Pause: w.ReachOptions.Pause, Tested: prefix != ""}
	if w.winrm() {
		connect.SSH, connect.Key, connect.WinRM = comm.SSH{}, dag.Out[comm.Key]{}, w.WinRM
	}
	if w.askPassword() {
		connect.Login = dag.Add(g, bd, prefix+"password", Password{Instance: instance, Key: w.key, KeyFile: w.SSH.PrivateKeyFile, Timeout: w.PasswordTimeout,
			Running: endpoint})
	}
	if w.bySession() {
		connect.Via = dag.As[comm.Tunnel](dag.Add(g, bd, prefix+"session", w.session(instance, endpoint)))
	}
	if w.byTunnel() {
		connect.Via = dag.As[comm.Tunnel](w.tunnel)
	}
	return instance, endpoint, dag.Add(g, bd, prefix+"connect", connect)
}

// clear removes the key of the build from the machine, if that is asked for.
func (w *wiring) clear(m dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	if w.SSH.ClearAuthorizedKeys && w.protocol() == "ssh" && w.key.Set() {
		return dag.Add(w.g, w.build, "clear-keys", comm.ClearKeys{On: m.Take(), Key: w.key})
	}
	return m
}

// stop puts the machine at rest.
func (w *wiring) stop(m dag.Out[comm.Machine]) dag.Out[Stopped] {
	return dag.Add(w.g, w.build, "stop", Stop{Instance: w.instance, After: m.Take(), Itself: w.DisableStop, Early: w.CreateDuringShutdown && w.late() == "",
		Apart: w.SkipCreateAMI || w.surrogate != nil && !w.surrogate.UseCreateImage})
}

// session waits for Session Manager.
func (w *wiring) session(instance dag.Out[Instance], endpoint dag.Out[comm.Endpoint]) OpenSession {
	s := OpenSession{Instance: instance, Running: endpoint, Port: w.SSH.Port, Listen: w.SSMPort, Pause: w.PauseBeforeSSM, Timeout: w.SSH.Timeout}
	if w.winrm() {
		s.Port, s.Timeout = w.WinRM.Port, w.WinRM.Timeout
	}
	return s
}

// capture adds the steps from the provisioned machine to the finished images and
// all that is done to them.
func (w *wiring) capture(m dag.Out[comm.Machine]) (made steps.Made) {
	g, bd := w.g, w.build
	m = w.clear(m)
	stopped := w.stop(m)
	if w.SkipCreateAMI {
		dag.Goal(g, stopped)
		w.keep(KeepVolumes{Volumes: w.volumes}, stopped.Key())
		return made
	}
	var regrouped dag.Out[Regrouped]
	if w.temporary && len(w.tests) == 0 { // else machines of the image will be in the group
		regrouped = dag.Add(g, bd, "regroup", Regroup{Instance: w.instance, After: m, Access: w.access})
	}
	free := func(after ...dag.Key) (free dag.Out[Deregistered]) {
		if w.force() && !w.onlyCopies() {
			free = dag.Add(g, bd, "deregister", Deregister{Place: w.place, Name: w.AMIName, After: stopped, Tags: w.imageTags(),
				SnapshotTags: withBlocks(w.SnapshotTags, w.SnapshotTag)})
			g.Sequence(free.Key(), after...)
		}
		return free
	}
	if w.needsRest() {
		stopped = dag.Add(g, bd, "enhance", Enhance{From: stopped, ENA: w.ENASupport, SRIOV: w.SriovSupport})
	}
	var of registered // none of the instance's own
	created, older := dag.Out[Image]{}, dag.Out[Deregistered]{}
	switch {
	case w.swapped.Set():
		older = free()
		created = w.image(w.swap(stopped), regrouped, older)
	case w.surrogate != nil:
		of = w.register(stopped, regrouped, free)
		created, older = of.image, of.free
	default:
		older = free()
		created = w.image(stopped, regrouped, older)
	}
	tested := w.test(created, of)
	wait := w.ready(created)
	if of.image.Set() {
		wait.Image, wait.Registered = dag.Out[Image]{}, created
	}
	wait.Temporary = w.onlyCopies()
	ready := dag.Add(g, bd, "image-ready", wait)
	g.Sequence(ready.Key(), tested...)
	w.keep(KeepVolumes{Volumes: w.volumes, Image: ready})
	product := Product{Of: created}
	if w.surrogate != nil {
		product.Builder = "mitchellh.amazon.ebssurrogate"
	}
	finish := func(region string, image dag.Out[ReadyImage], older dag.Out[Deregistered]) {
		product.Images = append(product.Images, image)
		done := w.addImageSteps(region, image, older)
		for _, step := range append(done, w.publish(region, image, done)...) {
			g.Sequence(step, tested...) // of an edited template, the image may be ready already
			made.Finishing = append(made.Finishing, step)
		}
		made.Artifacts = append(made.Artifacts, dag.As[steps.Artifact](image))
		for _, theirs := range w.copyToAccounts(region, image, tested) {
			made.Artifacts = append(made.Artifacts, dag.As[steps.Artifact](theirs))
		}
	}
	if !w.onlyCopies() {
		dag.Keep(g, created, ready)
		for _, sn := range of.snapshots {
			dag.Keep(g, sn, ready)
		}
		finish(w.place.Region, ready, older)
	}
	for n, r := range w.copyRegions() {
		step := CopyImage{Place: Place{w.place.Account, r}, Of: ready, Source: w.source, Description: w.AMIDescription,
			Tags: w.imageTags(), SnapshotTags: withBlocks(w.SnapshotTags, w.SnapshotTag), Minutes: w.SnapshotCopyMinutes}
		if w.onlyCopies() {
			step.Name = w.AMIName
		}
		if w.encrypts() {
			step.Encrypt = Encrypt{All: true, Key: w.keyOf(r, w.place.Region)}
		}
		if w.force() {
			step.Free = dag.Add(g, bd, "deregister-"+r, Deregister{Place: step.Place, Name: w.AMIName, Ready: ready, Tags: step.Tags, SnapshotTags: step.SnapshotTags, Encrypt: step.Encrypt})
			g.Sequence(step.Free.Key(), tested...)
		}
		copied := dag.Add(g, bd, "copy-"+r, step)
		g.Sequence(copied.Key(), tested...)
		wait := w.ready(copied)
		if w.encrypts() {
			wait.Key = cmp.Or(step.Encrypt.Key, awsKey)
		}
		there := dag.Add(g, bd, "copy-ready-"+r, wait)
		dag.Keep(g, copied, there)
		if w.onlyCopies() && n == 0 {
			product.Of = copied // what is only to be copied goes
		}
		finish(r, there, step.Free)
	}
	made.Product = func() dag.Out[steps.Product] { return dag.Add(g, bd, "product", product) }
	if w.onlyCopies() { // it stays for a resume until all copies are there
		if len(tested) == 0 {
			for _, sn := range of.snapshots {
				dag.Stay(g, sn, ready)
			}
			dag.Stay(g, created, ready)
		}
		copied := dag.Add(g, bd, "copied", Copied{Of: ready, Copies: product.Images})
		dag.Serve(g, created, copied)
		for _, sn := range of.snapshots {
			dag.Serve(g, sn, copied)
		}
	}
	return made
}

// image adds the step that makes an image of the instance at rest.
func (w *wiring) image(stopped dag.Out[Stopped], regrouped dag.Out[Regrouped], free dag.Out[Deregistered]) dag.Out[Image] {
	s := CreateImage{From: stopped, Source: w.source, Name: w.AMIName, Description: w.AMIDescription, Tags: w.imageTags(),
		SnapshotTags: withBlocks(w.SnapshotTags, w.SnapshotTag), Mappings: w.AMIMappings, Values: w.values, Regrouped: regrouped, Free: free}
	switch {
	case w.swapped.Set(): // the root that the builder has is not in the image
		s.Mappings, s.Swapped = w.surrogate.imaged(), w.swapped
	case w.BuilderVolume.given():
		s.Builder, s.Launched = w.BuilderVolume, w.LaunchMappings
	}
	if w.onlyCopies() {
		s.Name = ""
	}
	return dag.Add(w.g, w.build, "image", s)
}

// ready waits for an image, and has the user's tags where some of them must wait.
func (w *wiring) ready(made dag.Out[Image]) ImageReady { return w.readyWith(made, w.imageTags()) }

// readyWith is that for an image with such tags.
func (w *wiring) readyWith(made dag.Out[Image], tags map[dag.Text]dag.Text) ImageReady {
	s, of := ImageReady{Image: made}, withBlocks(w.SnapshotTags, w.SnapshotTag)
	if exceedsTagLimit(tags) || exceedsTagLimit(mergeTags(tags, of)) {
		s.Tags, s.SnapshotTags, s.Source = tags, of, w.source
	}
	return s
}

// keep makes volumes that outlive the instance results of a good build.
func (w *wiring) keep(s KeepVolumes, after ...dag.Key) (kept dag.Out[KeptVolumes]) {
	if s.Volumes.Set() {
		kept = dag.Add(w.g, w.build, "keep-volumes", s)
		w.g.Sequence(kept.Key(), after...)
		dag.Keep(w.g, s.Volumes, kept)
	}
	return kept
}

// outliving are the devices whose volumes outlive the instance.
func outliving(ds []BlockDevice) (names []string) {
	for _, d := range ds {
		if d.DeleteOnTermination != nil && !*d.DeleteOnTermination {
			names = append(names, d.DeviceName)
		}
	}
	return names
}

// addImageSteps adds what is done to a finished image, each a goal of its own: a late
// failure leaves the image and everything else that was reached.
func (w *wiring) addImageSteps(region string, of dag.Out[ReadyImage], older dag.Out[Deregistered]) (goals []dag.Key) {
	add := func(step string, s dag.Step[*Cloud, Attributed]) {
		goal := dag.Add(w.g, w.build, named(step, region, w.place.Region), s)
		dag.Goal(w.g, goal)
		goals = append(goals, goal.Key())
	}
	if older.Set() && w.ForceDeleteSnapshot {
		goal := dag.Add(w.g, w.build, named("drop-snapshots", region, w.place.Region), DropSnapshots{Old: older, New: of})
		dag.Goal(w.g, goal)
		goals = append(goals, goal.Key())
	}
	if len(w.Sharing.launchers()) > 0 {
		add("share", Share{Of: of, Sharing: w.Sharing.launching()})
	}
	if len(w.Sharing.readers()) > 0 {
		add("share-snapshots", ShareSnapshots{Of: of, Users: w.SnapshotUsers, Groups: w.SnapshotGroups})
	}
	if len(w.ProductCodes) > 0 {
		add("product-codes", AddProductCodes{Of: of, Codes: w.ProductCodes})
	}
	if _, on := w.FastLaunch.in(region, w.place.Region); on {
		add("fast-launch", EnableFastLaunch{Of: of, Template: w.fast[region], Parallel: w.FastLaunch.MaxParallelLaunches, Target: w.FastLaunch.TargetResourceCount})
	}
	return append(goals, w.addAttributes(func(step string) string { return named(step, region, w.place.Region) }, of, w.DeprecateAt)...)
}

// addAttributes adds what is said of an image to whoever may use it.
func (w *wiring) addAttributes(called func(step string) string, of dag.Out[ReadyImage], deprecateAt string) (goals []dag.Key) {
	add := func(step string, s dag.Step[*Cloud, Attributed]) {
		goal := dag.Add(w.g, w.build, called(step), s)
		dag.Goal(w.g, goal)
		goals = append(goals, goal.Key())
	}
	if w.IMDSSupport != "" {
		add("imds", RequireIMDSv2{Of: of})
	}
	if deprecateAt != "" {
		add("deprecate", Deprecate{Of: of, At: deprecateAt})
	}
	if w.Protection.Enabled || w.Protection.WithCooldown {
		add("protect", Protect{Of: of, Cooldown: w.Protection.WithCooldown})
	}
	return goals
}

// named is the name of a step that every region has.
func named(step, region, home string) string {
	if region == home {
		return step
	}
	return step + "-" + region
}
