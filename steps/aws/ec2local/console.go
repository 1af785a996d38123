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
	text := c.s.life.console(i.Region, i.ID)
	if i.Platform == "windows" {
		text = []byte("This endpoint has no Windows guests: the instance is a record, nothing runs behind it.\r\n")
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

// getPasswordData has none to give: a password is made by a Windows guest, and
// until one has, EC2 answers with nothing too.
func getPasswordData(c *call, q *instanceIDRequest) (*passwordResponse, error) {
	i, err := c.oneInstance(q.InstanceId)
	if err != nil {
		return nil, err
	}
	return &passwordResponse{ID: i.ID, At: stamp(c.now)}, nil
}
