package posh

import (
	"strings"
)

func gatherPaths(c *Call) error {
	return c.eachPlace(true, func(p place) error {
		l, _ := c.State.([]any)
		c.State = append(l, p.path)
		return nil
	})
}

func compressArchive(c *Call) error {
	s := c.sh
	paths := gathered(c)
	if len(paths) == 0 {
		return nil
	}
	to, err := s.filePath(c.Str("DestinationPath"))
	if err != nil {
		return err
	}
	if !strings.HasSuffix(strings.ToLower(to), ".zip") {
		to += ".zip"
	}
	mode := CreateNew
	if c.On("Force") {
		mode = Create
	}
	f, err := s.openFile(to, Open{mode, Write, ShareNone})
	if err != nil {
		return err
	}
	z, err := s.newArchive(f, 1, false)
	if err != nil {
		return err
	}
	for _, v := range paths {
		p := v.(string)
		i, err := s.m.Stat(p)
		if err == nil && i.IsDir() {
			err = z.packAll(p, s.leaf(p)+"/")
		} else if err == nil {
			err = z.packFile(p, s.leaf(p), i.Written)
		}
		if err != nil {
			_ = z.close()
			return err
		}
	}
	return z.close()
}

func expandArchive(c *Call) error {
	s := c.sh
	p := c.Str("Path")
	if p == "" {
		p = c.Str("LiteralPath")
	}
	from, err := s.filePath(p)
	if err != nil {
		return err
	}
	to := s.dir
	if c.Has("DestinationPath") {
		if to, err = s.filePath(c.Str("DestinationPath")); err != nil {
			return err
		}
	}
	if _, err := s.m.Stat(from); err != nil {
		return &Error{ID: "ArchiveCmdletPathNotFound", Category: "InvalidArgument", Message: "The path '" + p + "' either does not exist or is not a valid file system path.", Target: p}
	}
	f, err := s.openFile(from, Open{OpenExisting, Read, ShareRead})
	if err != nil {
		return err
	}
	z, err := s.newArchive(f, 0, false)
	if err != nil {
		_ = f.close()
		return err
	}
	defer z.close() //nolint:errcheck // a reader's end
	return z.extractAll(to, c.On("Force"))
}
