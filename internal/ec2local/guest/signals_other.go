//go:build unix && !linux

package guest

import (
	"os/signal"
	"syscall"
)

func ignored() (ns []int) {
	for _, s := range inherited {
		if signal.Ignored(s) {
			ns = append(ns, int(s.(syscall.Signal)))
		}
	}
	return ns
}

func unignore() {}
