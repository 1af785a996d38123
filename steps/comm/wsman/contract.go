package wsman

import "context"

// Client is a way into one machine.
type Client struct{}

// Command is a command that was started.
type Command struct{}

func New(o Options) (*Client, error)                                          { return &Client{}, nil }
func (c *Client) Start(ctx context.Context, command string) (*Command, error) { return &Command{}, nil }
func (k *Command) Send(ctx context.Context, data []byte, end bool) error      { return nil }
func (k *Command) Receive(ctx context.Context) (Output, error)                { return Output{}, nil }
func (k *Command) Close(ctx context.Context) error                            { return nil }
func (c *Client) Close(ctx context.Context) error                             { return nil }
func (c *Client) Certificate() string                                         { return "" }
func (c *Client) Stats() Stats                                                { return Stats{} }
