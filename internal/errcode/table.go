package errcode

// The codes.
const (
	Usage       Code = "usage"
	Failed      Code = "failed"
	Interrupted Code = "interrupted"
	Defect      Code = "imgflow-defect"

	TemplateSyntax   Code = "template-syntax"
	TemplateValue    Code = "template-value"
	TemplateOption   Code = "template-option"
	TemplateWarning  Code = "template-warning"
	UnknownName      Code = "unknown-name"
	DuplicateName    Code = "duplicate-name"
	OptionMissing    Code = "option-missing"
	OptionIdle       Code = "option-idle"
	VariableNotSet   Code = "variable-not-set"
	ConditionFailed  Code = "condition-failed"
	Unsupported      Code = "unsupported"
	NoSuchFile       Code = "no-such-file"
	RunNotFound      Code = "run-not-found"
	RunBusy          Code = "run-busy"
	StateDamaged     Code = "state-damaged"
	StateNewer       Code = "state-newer"
	StateUnwritable  Code = "state-unwritable"
	ThingsExist      Code = "things-exist"
	SecretWithheld   Code = "secret-withheld"
	NotRemoved       Code = "not-removed"
	UnknownStepKind  Code = "unknown-step-kind"
	StatementInvalid Code = "statement-invalid"

	NoCredentials      Code = "no-credentials"
	CredentialsExpired Code = "credentials-expired"
	Unauthorized       Code = "unauthorized"
	Throttled          Code = "throttled"
	NoCapacity         Code = "no-capacity"
	QuotaReached       Code = "quota-reached"
	NameTaken          Code = "name-taken"
	CloudNotFound      Code = "cloud-not-found"
	CloudRefused       Code = "cloud-refused"
	CloudNoAnswer      Code = "cloud-no-answer"
	ConnectTimeout     Code = "connect-timeout"
	AuthRefused        Code = "auth-refused"
	HostKeyChanged     Code = "host-key-changed"
	CertUntrusted      Code = "certificate-untrusted"
	MachineDown        Code = "machine-down"
	JobLost            Code = "job-lost"
	ScriptFailed       Code = "script-failed"
	TimedOut           Code = "timed-out"
)

// Table tells of every code. Its order is that of docs/errors.md.
var Table = []Info{
	{Usage, "The command line is wrong.",
		"A flag or an argument is not known, has a value that cannot be, or does not go with another. Nothing was done.",
		"Read the message: it names the flag, and the nearest one if there is no such. `imgflow help COMMAND` lists them."},
	{Failed, "Something failed for which there is no other code.",
		"The message says all that is known.",
		"Do what the message says. If it does not say enough, `imgflow logs RUN` has what came before."},
	{Interrupted, "It was interrupted, and lost nothing.",
		"Ctrl-C, or a signal that asks a process to end. What was on its way has come to its checkpoint.",
		"`imgflow resume RUN` goes on, `imgflow destroy RUN` removes what there is. An interrupted destroy is repeated."},
	{Defect, "A fault in imgflow itself.",
		"The program met something that it takes to be impossible. What the run had made is recorded.",
		"Report it with what was printed. `imgflow resume RUN` goes on, or `imgflow destroy RUN` removes what there is."},

	{TemplateSyntax, "The text of the template cannot be read.",
		"A bracket, a comma or a quote is missing, a section is no section of templates, or a value is of a kind that cannot stand there.",
		"Mend the place that the message points at. `imgflow fmt` lays HCL2 out, so that what is odd is seen; `imgflow schema` helps an editor with JSON."},
	{TemplateValue, "An expression of the template has no value.",
		"A function refuses its arguments, a value is of the wrong type, or something is used where it is not known yet.",
		"`imgflow console TEMPLATE EXPRESSION` shows what an expression comes to."},
	{TemplateOption, "An option has a value that cannot be.",
		"A builder, provisioner, post-processor, test or data source refuses an option by itself, or beside the others.",
		"The reference of options says what each takes: docs/reference."},
	{TemplateWarning, "Something in the template is allowed, and perhaps not meant.",
		"It hinders nothing, unless `--strict` is given.",
		"Look whether it is meant. It is told with its place."},
	{UnknownName, "A name refers to nothing.",
		"There is no variable, local, data source, source, build, option, section or type of this name.",
		"Look for a typing error: the message names the nearest one."},
	{DuplicateName, "Two things have one name.",
		"Two builds, blocks, keys or files of one template would be told apart by nothing.",
		"Give each a name of its own."},
	{OptionMissing, "An option is missing that must be there.",
		"The builder or provisioner cannot be used without it.",
		"Set the option; docs/reference says what it takes."},
	{OptionIdle, "An option or a part has no effect.",
		"It is allowed, and as the others are nothing is done with it. It hinders nothing, unless `--strict` is given.",
		"Take it away, or change what makes it idle."},
	{VariableNotSet, "A variable has no value.",
		"It has no default, and none was given.",
		"Give it with -var 'NAME=VALUE', in a -var-file, or, for HCL2, as PKR_VAR_NAME in the environment."},
	{ConditionFailed, "A value breaks a condition of its variable.",
		"The template has a validation block for the variable, and says the message.",
		"Give the variable another value."},
	{Unsupported, "imgflow cannot do this of Packer.",
		"The type or the option is known, and there is nothing here that does it. It is never passed over in silence.",
		"Leave it out, or build with Packer. `imgflow validate --allow-unsupported` checks the rest of the template."},
	{NoSuchFile, "A file is not there, or cannot be read.",
		"A template, a variable file, or a file that a template names. Relative paths begin at the working directory, then at the folder of the template.",
		"Look at the path, and at the rights of the file."},

	{RunNotFound, "There is no such run.",
		"No run on this machine has an id that begins so.",
		"`imgflow list` shows the runs. IMGFLOW_HOME says where they are kept. Things that a lost run has made are found by `imgflow destroy --orphans`."},
	{RunBusy, "Another process drives the run.",
		"A run has one driver at a time; the message says which process it is.",
		"Wait for it, or interrupt it. `imgflow logs -f RUN` watches it."},
	{StateDamaged, "The records of the run are damaged.",
		"The file was changed or cut by something else than imgflow, or the disk has lost something. It is not believed.",
		"What the run has made carries its tags: `imgflow destroy --orphans` finds and removes it."},
	{StateNewer, "The run was made by a newer imgflow.",
		"Its records may mean what this version does not know.",
		"Go on with the version that made the run, or a later one."},
	{StateUnwritable, "A record of the run could not be written.",
		"The disk is full, or the files may not be written. Nothing goes on without its record.",
		"Make room, then `imgflow resume RUN` or `imgflow destroy RUN`. The message says what exists."},
	{ThingsExist, "The run still has something in the cloud.",
		"It cannot be forgotten, since nobody would know of these things then.",
		"`imgflow destroy RUN` removes them."},
	{SecretWithheld, "A secret value has to be given again.",
		"Values of sensitive variables are not stored with a run.",
		"Repeat the command with -var NAME=VALUE or -var-file, or with the environment as it was."},
	{NotRemoved, "Something could not be removed.",
		"The message says what, and why. It is still recorded.",
		"Mend the cause, then repeat `imgflow destroy RUN`."},
	{UnknownStepKind, "This imgflow does not know a kind of step.",
		"The run was made by another version or another build of imgflow.",
		"Go on with the one that made it."},
	{StatementInvalid, "A statement of provenance is not to be believed.",
		"It was changed, is signed by nobody whose key was given, or says nothing of the image.",
		"Get the statement again from whoever built the image, and look at the keys."},

	{NoCredentials, "There are no usable AWS credentials.",
		"Neither the template nor the environment, a profile or the instance has any that can sign a call.",
		"Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE. Without an account, build with --local."},
	{CredentialsExpired, "The credentials of AWS have expired.",
		"They were those of a role or a login, which live for a time. The run is suspended: its machines stay, and lose nothing.",
		"Get new ones as the message says, such as with `aws sso login`, then `imgflow resume RUN`."},
	{Unauthorized, "AWS does not let the caller do this.",
		"The credentials are wrong, or lack the permission that the message names.",
		"Mend them, then `imgflow resume RUN`. A wrong clock of this machine looks the same."},
	{Throttled, "AWS has refused a call because there were too many.",
		"It was tried again for as long as its step is patient.",
		"`imgflow resume RUN` when other work in the account has calmed down, or build fewer at once with -parallel-builds."},
	{NoCapacity, "AWS has no machine of this type free.",
		"Every zone that may be used was tried.",
		"Try again later, or choose another instance_type, subnet or zone; then `imgflow resume RUN`."},
	{QuotaReached, "A limit of the AWS account is reached.",
		"There are as many instances, addresses or other things as the account may have.",
		"Remove some, or ask AWS for a higher limit; then `imgflow resume RUN`."},
	{NameTaken, "The name is taken.",
		"The account has an image, a key pair or something else of this name.",
		"Choose another name, such as one with {{timestamp}} in it. -force replaces images of the name."},
	{CloudNotFound, "AWS does not know what was asked for.",
		"An image, subnet, group or other thing does not exist in this region and account, or may not be seen.",
		"Look at its id, the region, and who it is shared with."},
	{CloudRefused, "AWS has refused a call.",
		"The message has its words, and the code that AWS gives.",
		"Do what the message says; then `imgflow resume RUN`."},
	{CloudNoAnswer, "AWS did not answer.",
		"The endpoint could not be reached, went away, or answered what is no reply of AWS, for as long as the step is patient.",
		"Look at the network, proxies and AWS_ENDPOINT_URL; then `imgflow resume RUN`."},

	{ConnectTimeout, "The machine was not reached in time.",
		"No answer came within ssh_timeout or winrm_timeout. The message says what was seen last.",
		"Look whether a route, a security group and the machine's firewall let this computer through, and whether its server starts. -on-error=suspend keeps the machine for a look."},
	{AuthRefused, "The machine does not let us in.",
		"Its server answers, and refuses the user with this key or password.",
		"Look at ssh_username or winrm_username: it must be one that the image has, such as ubuntu or ec2-user."},
	{HostKeyChanged, "The machine shows another host key.",
		"Something else answers at its address, or the machine has made itself new keys. Nothing was sent to it.",
		"If the keys are meant to change, see ssh_host_key in docs/reference."},
	{CertUntrusted, "The machine shows a certificate that is not trusted.",
		"It is signed by nobody who is known, is of another machine, or has changed.",
		"Give its issuer, or see winrm_insecure in docs/reference."},
	{MachineDown, "The machine is stopped or gone.",
		"Somebody or something has ended it, or it did not boot.",
		"`imgflow resume RUN` makes another. The message has the reason that AWS gives."},
	{JobLost, "How a script ended cannot be known.",
		"The machine, or the run's files on it, went away while the script was at work.",
		"Look whether the script restarts the machine or cleans /tmp; expect_disconnect and start_retry_timeout say that it may."},

	{ScriptFailed, "A script or a tool ended with a failure.",
		"Its exit status is not one that counts as success. `imgflow logs RUN` has what it printed.",
		"Mend it, then `imgflow resume RUN`. -on-error=suspend keeps the machine, and `imgflow shell RUN` opens a shell on it."},
	{TimedOut, "It took longer than it may.",
		"The `timeout` of a provisioner was reached.",
		"Give it a longer timeout, or mend what hangs; then `imgflow resume RUN`."},
}
