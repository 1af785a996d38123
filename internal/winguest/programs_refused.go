package winguest

import (
	"context"
	"strings"
)

// refusing are programs that scripts call and that this machine has not. Their
// files are there, so that the answer says why, and no script takes success for
// granted.
func refusing() map[string]Program {
	t := map[string]Program{}
	for why, names := range map[string]string{
		"files have no owners here, and icacls changes who may use them":                            "cacls takeown",
		"native programs, and so installers, do not run on this machine":                            "msiexec wusa msinfo32 regsvr32 rundll32 odbcconf installutil",
		"the machine has no features that could be turned on or off":                                "dism pkgmgr ocsetup servermanagercmd",
		"the machine has no boot configuration":                                                     "bcdedit bcdboot bootcfg bootsect",
		"there is no interpreter for its scripts here":                                              "cscript wscript mshta",
		"the machine has one drive, C:, as it is":                                                   "diskpart format chkdsk fsutil mountvol vssadmin label convert defrag compact cipher manage-bde cleanmgr diskshadow subst",
		"the machine reaches no network":                                                            "curl ftp tftp nslookup tracert pathping telnet bitsadmin ssh scp sftp w32tm route arp nbtstat getmac",
		"archives are unpacked by Expand-Archive here":                                              "tar expand makecab extrac32",
		"nothing of it is kept on this machine":                                                     "secedit auditpol wevtutil eventcreate logman sfc gpresult lodctr wbadmin wecutil winmgmt mofcomp",
		"processes run as who started them: use a scheduled task, or Start-Process":                 "runas",
		"updates do not exist for this machine":                                                     "wuauclt usoclient",
		"the machine has no screen and nobody sits at it":                                           "explorer notepad control regedit regedt32 mmc mstsc eventvwr taskmgr msg logoff tsdiscon quser query choice clip",
		"its devices and drivers are the host's":                                                    "pnputil driverquery devcon",
		"use EC2Launch: C:\\ProgramData\\Amazon\\EC2-Windows\\Launch\\Scripts\\SysprepInstance.ps1": "sysprep",
		"it compares and prints what no build has asked for yet":                                    "fc comp tree print diskperf replace recover",
		"the connections are the host's":                                                            "netstat netcfg rasdial",
	} {
		for _, name := range strings.Fields(names) {
			t[name] = func(_ context.Context, p *Proc) int { return p.refuse("%s", why) }
		}
	}
	return t
}
