package aws

import (
	"context"
	"fmt"
)

// listing is what all pages of one list may hold together: nobody says how many
// pages there will be.
type listing struct{ bytes, items int }

type listingKey struct{}

// ofPages bounds the pages that are asked for with the context, one after another.
func ofPages(ctx context.Context, bytes, items int) context.Context {
	return context.WithValue(ctx, listingKey{}, &listing{bytes, items})
}

func listed(ctx context.Context) *listing {
	l, _ := ctx.Value(listingKey{}).(*listing) // nil where a reply is all
	return l
}

// take counts a page.
func (l *listing) take(call string, bytes, items int) error {
	if l == nil {
		return nil
	}
	l.bytes, l.items = l.bytes-bytes, l.items-items
	if l.bytes < 0 || l.items < 0 {
		return &replyError{fmt.Sprintf("the list of %s has no end", call), false}
	}
	return nil
}
