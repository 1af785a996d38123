package winguest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

func certObject(x Certificate) *posh.Object {
	o := posh.NewObject("System.Security.Cryptography.X509Certificates.X509Certificate2").Set("Thumbprint", x.Thumbprint).Set("Subject", x.Subject).Set("Issuer", x.Subject)
	o.Set("FriendlyName", x.Friendly).Set("NotBefore", x.NotBefore.UTC()).Set("NotAfter", x.NotAfter.UTC()).Set("HasPrivateKey", true).Set("RawData", x.DER())
	o.Set("DnsNameList", stringArray(x.Names)).Set("PSPath", `Microsoft.PowerShell.Security\Certificate::LocalMachine\My\`+x.Thumbprint).Set("PSChildName", x.Thumbprint)
	o.Show = []string{"Thumbprint", "Subject"}
	o.Text = func() string {
		return "[Subject]\r\n  " + x.Subject + "\r\n\r\n[Thumbprint]\r\n  " + x.Thumbprint + "\r\n"
	}
	o.Method("GetRawCertData", func([]any) (any, error) { return x.DER(), nil })
	o.Method("GetCertHashString", func([]any) (any, error) { return x.Thumbprint, nil })
	return o
}

// myStore tells whether a path of the drive Cert: is LocalMachine\My.
func myStore(path string) bool {
	path = strings.ToLower(strings.Trim(strings.ReplaceAll(path, "/", `\`), `\`))
	return strings.TrimPrefix(strings.TrimPrefix(path, "cert:"), `\`) == `localmachine\my`
}

func (c *cmdlets) certificate() {
	c.change("New-SelfSignedCertificate", "DnsName:string[] Subject:string CertStoreLocation:string FriendlyName:string NotAfter:any KeyLength:int KeyAlgorithm:string KeyExportPolicy:string "+
		"KeyUsage:string[] KeySpec:string HashAlgorithm:string Type:string Provider:string TextExtension:string[]", func(k *posh.Call) error {
		if at := k.Str("CertStoreLocation"); at != "" && !myStore(at) {
			return outside(`New-SelfSignedCertificate in %s (only Cert:\LocalMachine\My is there)`, at)
		}
		if a := k.Str("KeyAlgorithm"); a != "" && !strings.EqualFold(a, "RSA") {
			return outside("New-SelfSignedCertificate with a key of %s", a)
		}
		var until time.Time
		if k.Has("NotAfter") {
			t, ok := k.Value("NotAfter").(time.Time)
			if !ok {
				return problem("CannotConvertArgument", "InvalidArgument", k.Str("NotAfter"), "-NotAfter is a [datetime].")
			}
			until = t
		}
		subject := k.Str("Subject")
		if subject != "" && !strings.HasPrefix(strings.ToUpper(subject), "CN=") {
			subject = "CN=" + subject
		}
		x, err := c.m.NewCertificate(subject, k.Strs("DnsName"), until, k.Str("FriendlyName"))
		if err != nil {
			return problem("InvalidArgument", "InvalidArgument", subject, "%v", err)
		}
		return k.Emit(certObject(x))
	})
	c.add("Export-Certificate", "Cert:any:1:pipe:need FilePath:string:2:need:=FullName Type:string Force:switch NoClobber:switch", func(k *posh.Call) error {
		if t := k.Str("Type"); t != "" && !strings.EqualFold(t, "CERT") {
			return outside("Export-Certificate -Type %s", t)
		}
		thumb := propertyText(k.Value("Cert"), "Thumbprint")
		if thumb == "" {
			thumb = baseName(k.Str("Cert"))
		}
		x, ok := c.m.Certificate(thumb)
		if !ok {
			return notExist("the certificate " + thumb)
		}
		path, err := k.Path(k.Str("FilePath"))
		if err != nil {
			return err
		}
		if err := c.p.WriteFile(path, x.DER()); err != nil {
			return err
		}
		return k.Emit(posh.NewObject("").Set("FullName", path).Set("Name", baseName(path)))
	})
}

// certDrive is Cert:, with the one store LocalMachine\My.
type certDrive struct{ p *Proc }

func (d certDrive) at(path string) (depth int, x Certificate, err error) {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '\\' || r == '/' })
	for i, want := range []string{"LocalMachine", "My"} {
		if i < len(parts) && !strings.EqualFold(parts[i], want) {
			return 0, x, notExist(path)
		}
	}
	if len(parts) == 3 {
		var ok bool
		if x, ok = d.p.Machine.Certificate(parts[2]); !ok {
			return 0, x, notExist(path)
		}
	}
	if len(parts) > 3 {
		return 0, x, notExist(path)
	}
	return len(parts), x, nil
}

func (d certDrive) Stat(path string) (found, container bool, err error) {
	depth, _, err := d.at(path)
	return err == nil, err == nil && depth < 3, nil
}

func (d certDrive) Item(path string) (any, error) {
	depth, x, err := d.at(path)
	switch {
	case err != nil:
		return nil, err
	case depth == 3:
		return certObject(x), nil
	}
	return posh.NewObject("System.Security.Cryptography.X509Certificates.X509Store").Set("Name", baseName(path)), nil
}

func (d certDrive) Children(path string) ([]posh.Child, error) {
	depth, _, err := d.at(path)
	if err != nil {
		return nil, err
	}
	if depth < 2 {
		name := []string{"LocalMachine", "My"}[depth]
		item, err := d.Item(strings.Trim(path+`\`+name, `\`))
		return []posh.Child{{Name: name, Container: true, Item: item}}, err
	}
	var out []posh.Child
	for _, x := range d.p.Machine.Certificates() {
		if depth == 2 {
			out = append(out, posh.Child{Name: x.Thumbprint, Item: certObject(x)})
		}
	}
	return out, nil
}

func (d certDrive) New(path, _ string, _ any, _ bool) (any, error) {
	return nil, fmt.Errorf("cannot make %s: %w; New-SelfSignedCertificate makes certificates", path, posh.ErrOutside)
}

func (d certDrive) Remove(path string, _ bool) error {
	depth, x, err := d.at(path)
	switch {
	case err != nil:
		return err
	case depth < 3:
		return errors.New("a certificate store stays")
	case d.p.Admin() != nil:
		return d.p.Admin()
	}
	return d.p.Machine.RemoveCertificate(x.Thumbprint)
}

func (d certDrive) Properties(path string) ([]posh.Property, error) {
	depth, x, err := d.at(path)
	if err != nil || depth < 3 {
		return nil, err
	}
	return []posh.Property{{Name: "Thumbprint", Value: x.Thumbprint, Kind: "String"}, {Name: "Subject", Value: x.Subject, Kind: "String"}}, nil
}

func (d certDrive) SetProperty(path string, p posh.Property) error {
	depth, x, err := d.at(path)
	if err != nil {
		return err
	}
	if depth < 3 || !strings.EqualFold(p.Name, "FriendlyName") {
		return fmt.Errorf("cannot set %s of a certificate: %w", p.Name, posh.ErrOutside)
	}
	return d.p.Machine.change(func(st *state) error {
		for i := range st.Certificates {
			if st.Certificates[i].Thumbprint == x.Thumbprint {
				st.Certificates[i].Friendly = textOf(p.Value)
			}
		}
		return nil
	})
}

func (d certDrive) RemoveProperty(path, name string) error {
	return fmt.Errorf("cannot remove %s of a certificate: %w", name, posh.ErrOutside)
}
