package winguest

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

func randomBytes(b []byte) { rand.Read(b) }

func (c *cmdlets) power() {
	off := func(reboot bool) func(*posh.Call) error {
		return func(k *posh.Call) error {
			if err := local(k); err != nil {
				return err
			}
			switch err := c.m.PowerOff(reboot, 0, ""); CodeOf(err) {
			case 0:
				return nil
			default:
				return &posh.Error{ID: k.Name + "Failed", Message: "Failed to restart or stop the computer " + c.m.ComputerName() + " with the following error message: " + err.Error(),
					Exception: "System.InvalidOperationException", Category: "OperationStopped", Target: c.m.ComputerName()}
			}
		}
	}
	const where = "ComputerName:string[]:1:=CN:=__SERVER:=Server:=IPAddress "
	c.change("Restart-Computer", where+"Force:switch:=f", off(true))
	c.change("Stop-Computer", where+"Force:switch", off(false))
	c.change("Rename-Computer", "NewName:string:1:need ComputerName:string[] Force:switch Restart:switch PassThru:switch", func(k *posh.Call) error {
		if err := local(k); err != nil {
			return err
		}
		if err := c.m.Rename(k.Str("NewName")); err != nil {
			return problem("FailToRenameComputer", "OperationStopped", k.Str("NewName"), "Fail to rename computer '%s' to '%s': %v", c.m.ComputerName(), k.Str("NewName"), err)
		}
		if k.On("Restart") {
			return c.m.PowerOff(true, 0, "")
		}
		if k.On("PassThru") {
			return k.Emit(posh.NewObject("").Set("HasSucceeded", true).Set("NewComputerName", k.Str("NewName")).Set("OldComputerName", c.m.ComputerName()))
		}
		return k.Warn("The changes will take effect after you restart the computer %s.", c.m.ComputerName())
	})
	c.add("Get-TimeZone", "Id:string[] Name:string[] ListAvailable:switch", func(k *posh.Call) error {
		for _, n := range append(k.Strs("Id"), k.Strs("Name")...) {
			if !like(n, "UTC") {
				return outside("Get-TimeZone %s", n)
			}
		}
		if k.On("ListAvailable") {
			return outside("Get-TimeZone -ListAvailable")
		}
		return k.Emit(posh.NewObject("System.TimeZoneInfo").Set("Id", "UTC").Set("DisplayName", "(UTC) Coordinated Universal Time").Set("StandardName", "UTC").Set("BaseUtcOffset", time.Duration(0)).Set("SupportsDaylightSavingTime", false))
	})
	c.change("Set-TimeZone", "Id:string:1 Name:string PassThru:switch", func(k *posh.Call) error {
		if !strings.EqualFold(k.Str("Id")+k.Str("Name"), "UTC") {
			return outside("Set-TimeZone to another zone than UTC")
		}
		return nil
	})
}
