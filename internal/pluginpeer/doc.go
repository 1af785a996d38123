// Package pluginpeer has AWS's own session-manager-plugin speak with the side of a session
// that the embedded EC2 plays: what that one says and takes is then what AWS's programs
// take and say, and not only what our client does.
//
// It is a module of its own, since nothing else here needs what the plugin is made of.
package pluginpeer
