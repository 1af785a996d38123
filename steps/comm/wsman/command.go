package wsman

import (
	"context"
	"errors"
	"fmt"
)

// turn is held by one at a time, and waiting for it ends with the context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// Command is a command that was started. Its methods may be called at once:
// input goes on while output is waited for.
type Command struct {
	c         *Client
	shell, id string

	sending turn // guards sent: Windows keeps no order among requests under way
	sent    error

	receiving turn // guards received and end
	received  error
	end       *Output
}

func newCommand(c *Client, shell, id string) *Command {
	return &Command{c: c, shell: shell, id: id, sending: newTurn(), receiving: newTurn()}
}

// Send gives the command input, and with end tells it that there is no more. It
// returns when the machine has taken all, in as few requests as fit. After an
// error it is not known what arrived, and every later Send gives that error. A
// command that reads no more is [ErrInputClosed], unless there is only an end to
// tell it.
func (k *Command) Send(ctx context.Context, data []byte, end bool) error {
	if err := k.sending.take(ctx); err != nil {
		return err
	}
	defer k.sending.give()
	if k.sent == nil {
		k.sent = k.send(ctx, data, end)
	}
	return k.sent
}

func (k *Command) send(ctx context.Context, data []byte, end bool) error {
	for {
		envelope := k.c.envelope.Load()
		piece := data[:min(len(data), room(envelope))]
		last := len(piece) == len(data)
		_, err := k.c.ask(ctx, "send input to the command", sendTime, k.c.sendRequest(k.shell, k.id, piece, end && last))
		switch {
		case isTooLarge(err) && envelope > smallEnvelope:
			k.c.envelope.Store(smallEnvelope)
			continue
		case len(piece) == 0 && errors.Is(err, ErrInputClosed):
			return nil // the end of what nobody reads any more
		case err != nil:
			return err
		}
		if data = data[len(piece):]; last {
			return nil
		}
	}
}

// Receive waits for output, 20 seconds at most: an empty Output says that there
// was none. What it returns is gone from the machine. After an error output may
// be missing, and every later Receive gives that error; after the end it tells
// the end again.
func (k *Command) Receive(ctx context.Context) (Output, error) {
	if err := k.receiving.take(ctx); err != nil {
		return Output{}, err
	}
	defer k.receiving.give()
	switch {
	case k.received != nil:
		return Output{}, k.received
	case k.end != nil:
		return *k.end, nil
	}
	out, err := k.receive(ctx)
	k.received = err
	if out.Done {
		k.end = &Output{Done: true, Code: out.Code}
	}
	return out, err
}

func (k *Command) receive(ctx context.Context) (Output, error) {
	const op = "read the command's output"
	r, err := k.c.ask(ctx, op, operationTime, k.c.receiveRequest(k.shell, k.id))
	switch {
	case isQuiet(err):
		return Output{}, nil
	case err != nil:
		return Output{}, err
	}
	out, err := r.output()
	if err != nil {
		return Output{}, fmt.Errorf("cannot %s: %w", op, err)
	}
	return out, nil
}

// Close ends the command if it still runs, and lets the machine forget it.
func (k *Command) Close(ctx context.Context) error {
	_, err := k.c.ask(ctx, "end the command", operationTime, k.c.signalRequest(k.shell, k.id))
	if isGone(err) {
		return nil
	}
	return err
}
