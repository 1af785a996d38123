// Package builtin holds the builders and data sources that need no cloud; Packer has
// them built in.
//
//	null   [Null]    a machine that is there already is provisioned, and stays
//	file   [File]    a local file is the result
//	http   [HTTP]    the data source: what a server answers
//	vault  [Vault]   the data source: a secret of HashiCorp Vault
//	consul [Consul]  the data source: a value of Consul's key-value store
//
// # null
//
// [Machine] is where the graph begins: its output was there before ([dag.Given]), so
// that nothing is made, nothing is removed and nothing can be made again. What was
// done to the machine is done, for every resume of the run: a provisioner that has
// its checkpoint is not run again, one that was interrupted is followed, as on a
// machine of EC2. One that was edited afterwards runs in its new form on what its
// earlier form has left, with all that comes after it, and the plan says so first;
// while the earlier form may still be at work, the edit is refused. A new run begins
// at the beginning: it knows nothing of what others have done to the machine.
//
// Its host key is pinned when it is first seen; a resume that meets another one at
// the address refuses it. Nobody can tell more of what has become of the machine: one
// that does not answer is waited for as long as ssh_timeout or winrm_timeout says.
//
// # file
//
// [WriteFile] writes the file beside its target and renames it, so that the target is
// there whole or as it was. It is a result, which stays until destroy --artifacts,
// and also then if somebody has changed it since. The directory must be there. A
// file has no machine: provisioners have no effect, as in Packer, and that is said.
//
// # http
//
// [HTTP] makes one request, within bounds: 10 MiB of text in UTF-8, 5 redirects. Any
// answer but 2xx is an error; what may pass is tried again unless the method is POST or
// PATCH. Another server that it is redirected to gets no header and no body of the
// template. The proxy is the session's. Secrets of the options are filled in when it is
// asked; an answer that repeats one is a secret itself, and any other is not.
//
// # vault, consul
//
// [Vault] and [Consul] read what the functions vault and consul_key of templates ask for. Where, and with which token,
// the environment of the session says; neither is in the step. The token goes to that server alone: no redirect is
// followed. What was read is in the run's vault.
package builtin
