package ec2local

import "encoding/base64"

type consoleRequest struct {
	InstanceId string
	Latest     bool
}

type consoleResponse struct {
	ID     string `xml:"instanceId"`
	At     string `xml:"timestamp"`
	Output string `xml:"output"`
}

// maxConsole is what EC2 keeps of what a machine printed.
const maxConsole = 64 << 10

func getConsoleOutput(c *call, q *consoleRequest) (*consoleResponse, error) {
	i, err := c.oneInstance(q.InstanceId)
	if err != nil {
		return nil, err
	}
	var text []byte
	if m := c.s.life.guest(i); m != nil {
		text = m.Console()
		if i.Platform != "windows" && c.s.life.off(i) {
			text = append(text, "[  100.000000] reboot: Power down\n"...)
		}
	}
	if len(text) > maxConsole {
		text = text[len(text)-maxConsole:]
	}
	return &consoleResponse{i.ID, stamp(c.now), base64.StdEncoding.EncodeToString(text)}, nil
}

type instanceIDRequest struct{ InstanceId string }

type passwordResponse struct {
	ID   string `xml:"instanceId"`
	At   string `xml:"timestamp"`
	Data string `xml:"passwordData"`
}

// getPasswordData answers with nothing until a Windows instance has made its
// password, and for ever where it makes none, as EC2 does.
func getPasswordData(c *call, q *instanceIDRequest) (*passwordResponse, error) {
	i, err := c.oneInstance(q.InstanceId)
	if err != nil {
		return nil, err
	}
	r := &passwordResponse{ID: i.ID, At: stamp(c.now)}
	if m := c.s.life.guest(i); m != nil && !c.now.Before(i.Launched.Add(c.s.takes.password)) {
		r.Data = m.PasswordData()
	}
	return r, nil
}
