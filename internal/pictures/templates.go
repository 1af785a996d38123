package main

import (
	"io/fs"
	"strings"
	"testing/fstest"
)

// build is one builder of the templates.
const build = `{"type": "amazon-ebs", "name": "NAME", "region": "us-east-1", "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "NAME-{{isotime \"20060102-150405\"}}",
   "source_ami_filter": {"filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}, "owners": ["099720109477"], "most_recent": true}}`

// install prints what an installation of packages prints.
const install = `"for p in libpcre3 nginx-common nginx-core nginx ssl-cert; do for w in Unpacking 'Setting up'; do echo \"$w $p (1.10.3-0ubuntu0.16.04.5) ...\"; sleep 0.25; done; done"`

// templates are those that the recordings build.
func templates() fs.FS {
	named := func(name string) string { return strings.ReplaceAll(build, "NAME", name) }
	web := `{"builders": [` + named("web") + ",\n" + named("db") + `],
 "provisioners": [{"type": "shell", "inline": [` + install + `]}]}`
	broken := `{"builders": [` + named("web") + `],
 "provisioners": [{"type": "shell", "inline": ["echo 'testing the configuration'; echo 'nginx: [emerg] open() \"/etc/nginx/sites.conf\" failed (2: No such file or directory)' >&2; exit 1"]}]}`
	return fstest.MapFS{"web.json": {Data: []byte(web), Mode: 0o644}, "broken.json": {Data: []byte(broken), Mode: 0o644}}
}
