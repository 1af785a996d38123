package winguest

import (
	"errors"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

const cimType = "Microsoft.Management.Infrastructure.CimInstance"

// cimObject shows an object of WMI as the CIM cmdlets do, or with old as
// Get-WmiObject does, which writes times as WMI itself.
func (c *cmdlets) cimObject(i Instance, old bool) *posh.Object {
	o := posh.NewObject(cimType)
	if old {
		o = posh.NewObject("System.Management.ManagementObject")
	}
	o.Types = append(o.Types, o.Types[0]+"#root/cimv2/"+i.Class)
	for _, n := range i.Names() {
		v, _ := i.Get(n)
		switch x := v.(type) {
		case time.Time:
			if v = any(x); old {
				v = dmtf(x)
			}
		case []string:
			v = stringArray(x)
		}
		o.Set(n, v)
	}
	o.Set("PSComputerName", nil)
	o.Set("CimClass", posh.NewObject("Microsoft.Management.Infrastructure.CimClass").Set("CimClassName", i.Class))
	if old {
		o.Set("__CLASS", i.Class)
		o.Method("ConvertToDateTime", func(args []any) (any, error) {
			if len(args) == 1 {
				if t, err := time.Parse("20060102150405.000000", strings.TrimSuffix(textOf(args[0]), "+000")); err == nil {
					return t, nil
				}
			}
			return nil, errors.New("cannot read the time of WMI")
		})
		for _, method := range []string{"Terminate", "Reboot", "Shutdown", "Win32Shutdown", "StartService", "StopService", "ChangeStartMode", "Rename"} {
			o.Method(method, func(args []any) (any, error) { return c.method(i, method, args) })
		}
	}
	o.Show = nil
	return o
}

func stringArray(list []string) *posh.Array {
	a := &posh.Array{Type: "string"}
	for _, s := range list {
		a.Elem = append(a.Elem, s)
	}
	return a
}

func (c *cmdlets) method(i Instance, method string, args []any) (*posh.Object, error) {
	code, err := c.p.Call(i, method, args)
	if err != nil {
		return nil, err
	}
	return posh.NewObject("").Set("ReturnValue", code).Set("PSComputerName", nil), nil
}

func (c *cmdlets) cim() {
	const cim = " Namespace:string ComputerName:string[]:=CN:=ServerName CimSession:any OperationTimeoutSec:int:=OT"
	const wmi = " Namespace:string:=NS ComputerName:string[]:=Cn Authentication:string Impersonation:string EnableAllPrivileges:switch"
	c.add("Get-CimInstance", "ClassName:string:1 Filter:string Query:string Property:string[]:=SelectProperties InputObject:any:pipe:=CimInstance KeyOnly:switch QueryDialect:string Shallow:switch"+cim,
		func(k *posh.Call) error { return c.get(k, "ClassName", false) }, "gcim")
	c.add("Get-WmiObject", "Class:string:1:=ClassName Filter:string Query:string Property:string[]:2 List:switch"+wmi,
		func(k *posh.Call) error { return c.get(k, "Class", true) }, "gwmi")
	c.add("New-CimInstance", "ClassName:string:1 Property:any:2:=Arguments ClientOnly:switch:=Local Key:string[] CimClass:any"+cim, c.newCim)
	c.add("Invoke-CimMethod", "ClassName:string:1:=Class MethodName:string:2:=Name Arguments:any:3 InputObject:any:pipe:=CimInstance Query:string"+cim, c.invokeCim, "icim")
	c.add("Invoke-WmiMethod", "Class:string:1 Name:string:2:need ArgumentList:any[]:3:=Args InputObject:any:pipe Path:string"+wmi, c.invokeWmi)
	c.change("Set-CimInstance", "InputObject:any:1:pipe:=CimInstance Query:string Property:any:=Arguments PassThru:switch"+cim, c.setCim, "scim")
}

// local refuses what asks for another machine or another namespace.
func local(k *posh.Call) error {
	for _, n := range k.Strs("ComputerName") {
		if !strings.EqualFold(n, "localhost") && n != "." && n != "127.0.0.1" && !strings.EqualFold(n, k.Machine().System().Computer) {
			return outside("%s for the computer %s", k.Name, n)
		}
	}
	if n := strings.ToLower(strings.ReplaceAll(k.Str("Namespace"), `\`, "/")); n != "" && n != "root/cimv2" {
		return outside("%s in the namespace %s", k.Name, k.Str("Namespace"))
	}
	if k.Has("CimSession") {
		return outside("%s -CimSession", k.Name)
	}
	return nil
}

func (c *cmdlets) get(k *posh.Call, classParam string, old bool) error {
	if err := local(k); err != nil {
		return err
	}
	class, where := k.Str(classParam), k.Str("Filter")
	only := k.Strs("Property")
	switch {
	case k.Has("Query"):
		what, from, cond, err := wqlQuery(k.Str("Query"))
		if err != nil {
			return problem("HRESULT 0x80041017", "InvalidArgument", k.Str("Query"), "Invalid query: %v", err)
		}
		class, where = from, cond
		if what[0] != "*" {
			only = what
		}
	case k.Value("InputObject") != nil:
		i, err := c.again(k.Value("InputObject"))
		if err != nil {
			return err
		}
		return k.Emit(c.cimObject(i, old))
	case class == "" || k.On("List"):
		return outside("%s without a class or a query", k.Name)
	}
	list, err := c.m.Instances(class, where)
	if errors.Is(err, ErrClass) {
		return outside("%s %s", k.Name, class)
	}
	if err != nil {
		return problem("HRESULT 0x80041017", "InvalidArgument", where, "Invalid query: %v", err)
	}
	for _, i := range list {
		if len(only) > 0 && only[0] != "*" {
			i = i.only(only)
		}
		if err := k.Emit(c.cimObject(i, old)); err != nil {
			return err
		}
	}
	return nil
}

// only is the object with some of its properties; CIM gives the others as null.
func (i Instance) only(names []string) Instance {
	out := instance(i.Class)
	for _, n := range i.names {
		v := any(nil)
		for _, want := range names {
			if strings.EqualFold(n, want) {
				v = i.vals[strings.ToLower(n)]
			}
		}
		out.names = append(out.names, n)
		out.vals[strings.ToLower(n)] = v
	}
	return out
}

// wmiKeys tell the objects of a class apart.
var wmiKeys = map[string]string{"Win32_Process": "ProcessId", "Win32_UserAccount": "Name", "Win32_Group": "Name", "Win32_Service": "Name", "Win32_LogicalDisk": "DeviceID"}

// again finds the object that a script holds as it is now.
func (c *cmdlets) again(v any) (Instance, error) {
	class := propertyText(property(v, "CimClass"), "CimClassName")
	list, err := c.m.Instances(class, "")
	if err != nil {
		return Instance{}, outside("a method on what is no object of WMI")
	}
	key := wmiKeys[class]
	for _, i := range list {
		now, _ := i.Get(key)
		if key == "" || textOf(now) == propertyText(v, key) {
			return i, nil
		}
	}
	return Instance{}, &posh.Error{ID: "HRESULT 0x80041002", Message: "Not found", Exception: "Microsoft.Management.Infrastructure.CimException", Category: "ObjectNotFound", Target: class}
}

func (c *cmdlets) newCim(k *posh.Call) error {
	if err := local(k); err != nil {
		return err
	}
	class := k.Str("ClassName")
	if !k.On("ClientOnly") || !strings.EqualFold(class, "Win32_ProcessStartup") {
		return outside("New-CimInstance of %s (only Win32_ProcessStartup -ClientOnly is there)", class)
	}
	i := instance("Win32_ProcessStartup", "CreateFlags", nil, "EnvironmentVariables", nil, "ErrorMode", nil, "PriorityClass", nil, "ShowWindow", nil, "Title", nil)
	o := c.cimObject(i, false)
	h, _ := k.Value("Property").(*posh.Hash)
	if h == nil {
		return k.Emit(o)
	}
	var err error
	h.Each(func(key, v any) bool {
		if _, ok := i.Get(textOf(key)); !ok {
			err = problem("HRESULT 0x80041008", "InvalidArgument", textOf(key), "Win32_ProcessStartup has no property %v here", key)
			return false
		}
		o.Set(textOf(key), v)
		return true
	})
	if err != nil {
		return err
	}
	return k.Emit(o)
}

func (c *cmdlets) invokeCim(k *posh.Call) error {
	if err := local(k); err != nil {
		return err
	}
	args, _ := k.Value("Arguments").(*posh.Hash)
	arg := func(name string) any {
		if args == nil {
			return nil
		}
		v, _ := args.Get(name)
		return v
	}
	method := k.Str("MethodName")
	if in := k.Value("InputObject"); in != nil {
		i, err := c.again(in)
		if err != nil {
			return err
		}
		return c.emitMethod(k, i, method, namedArguments(method, args))
	}
	class := k.Str("ClassName")
	where := ""
	if k.Has("Query") {
		_, from, cond, err := wqlQuery(k.Str("Query"))
		if err != nil {
			return problem("HRESULT 0x80041017", "InvalidArgument", k.Str("Query"), "Invalid query: %v", err)
		}
		class, where = from, cond
	}
	if strings.EqualFold(class, "Win32_Process") && strings.EqualFold(method, "Create") {
		return c.create(k, textOf(arg("CommandLine")), textOf(arg("CurrentDirectory")), arg("ProcessStartupInformation"))
	}
	if !k.Has("Query") && wmiKeys[class] != "" {
		return outside("Invoke-CimMethod %s of the class %s itself", method, class)
	}
	list, err := c.m.Instances(class, where)
	if errors.Is(err, ErrClass) {
		return outside("Invoke-CimMethod %s of the class %s", method, class)
	}
	if err != nil {
		return problem("HRESULT 0x80041017", "InvalidArgument", where, "Invalid query: %v", err)
	}
	for _, i := range list {
		if err := c.emitMethod(k, i, method, namedArguments(method, args)); err != nil {
			return err
		}
	}
	return nil
}

// namedArguments puts the arguments of a method in its order.
func namedArguments(method string, h *posh.Hash) []any {
	if h == nil {
		return nil
	}
	name := map[string]string{"win32shutdown": "Flags", "changestartmode": "StartMode", "rename": "Name"}[strings.ToLower(method)]
	v, _ := h.Get(name)
	return []any{v}
}

func (c *cmdlets) emitMethod(k *posh.Call, i Instance, method string, args []any) error {
	o, err := c.method(i, method, args)
	if err != nil {
		return outside("%s %s of %s", k.Name, method, i.Class)
	}
	return k.Emit(o)
}

// create starts a process that does not belong to the one that asks.
func (c *cmdlets) create(k *posh.Call, line, dir string, startup any) error {
	var env []string
	if list := elements(property(startup, "EnvironmentVariables")); len(list) > 0 {
		for _, e := range list {
			env = append(env, textOf(e))
		}
	}
	code, id := c.p.CreateProcess(line, dir, env)
	o := posh.NewObject("").Set("ProcessId", nil).Set("ReturnValue", code).Set("PSComputerName", nil)
	if code == WMIDone {
		o.Set("ProcessId", id)
	}
	return k.Emit(o)
}

func (c *cmdlets) invokeWmi(k *posh.Call) error {
	if err := local(k); err != nil {
		return err
	}
	class, method, args := k.Str("Class"), k.Str("Name"), k.Values("ArgumentList")
	if in := k.Value("InputObject"); in != nil {
		i, err := c.again(in)
		if err != nil {
			return err
		}
		return c.emitMethod(k, i, method, args)
	}
	if !strings.EqualFold(class, "Win32_Process") || !strings.EqualFold(method, "Create") || k.Has("Path") {
		return outside("Invoke-WmiMethod %s of the class %s", method, class)
	}
	arg := func(n int) any {
		if n < len(args) {
			return args[n]
		}
		return nil
	}
	return c.create(k, textOf(arg(0)), textOf(arg(1)), arg(2))
}

func (c *cmdlets) setCim(k *posh.Call) error {
	if err := local(k); err != nil {
		return err
	}
	h, _ := k.Value("Property").(*posh.Hash)
	if h == nil {
		return outside("%s without -Property", k.Name)
	}
	var list []Instance
	if k.Has("Query") {
		_, class, where, err := wqlQuery(k.Str("Query"))
		if err == nil {
			list, err = c.m.Instances(class, where)
		}
		if err != nil {
			return problem("HRESULT 0x80041017", "InvalidArgument", k.Str("Query"), "%v", err)
		}
	} else {
		i, err := c.again(k.Value("InputObject"))
		if err != nil {
			return err
		}
		list = []Instance{i}
	}
	for _, i := range list {
		var err error
		h.Each(func(key, v any) bool {
			err = c.m.Set(i, textOf(key), v)
			return err == nil
		})
		if err != nil {
			return outside("%s: %v", k.Name, err)
		}
		if k.On("PassThru") {
			if err := k.Emit(c.cimObject(i, false)); err != nil {
				return err
			}
		}
	}
	return nil
}

// machineTime is a time as scripts see it.
func machineTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC()
}
