package authwright

import (
	"encoding/binary"
	"slices"
	"time"
)

// A record is a Grant in one piece of memory. [Memory] keeps grants so because the garbage
// collector follows every pointer of a program again and again: a hundred thousand Grants
// would cost each request a good part of its signature.
type record []byte

// newRecord returns g as a record. Its ID, by which it is kept, is no part of it.
func newRecord(g *Grant) record {
	var c codec
	c.grant(g) // how large is it?
	c.data = make([]byte, 0, c.size)
	c.grant(g)
	return c.data
}

// grant returns the Grant that r was made from.
func (r record) grant(id string) *Grant {
	g := &Grant{ID: id}
	c := codec{data: r, text: string(r), reading: true}
	c.grant(g)
	return g
}

// version is that of the grant, or zero for no record.
func (r record) version() int64 {
	version, _ := binary.Varint(r)
	return version
}

func (r record) expiresAt() time.Time {
	var g Grant
	c := codec{data: r, reading: true}
	c.head(&g)
	return g.ExpiresAt
}

// owner returns the subject and the client.
func (r record) owner() (subject, clientID []byte) {
	var g Grant
	c := codec{data: r, reading: true}
	c.head(&g)
	c.bytes(&subject)
	c.bytes(&clientID)
	return subject, clientID
}

// A codec measures a Grant, writes it or reads it back, field by field in the same order.
type codec struct {
	size    int
	data    []byte   // nil when measuring; written so far, or still to be read
	text    string   // when reading: all of the record
	list    []string // what is left of the room for lists
	reading bool
}

// put writes b.
func (c *codec) put(b []byte) {
	c.size += len(b)
	if c.data != nil {
		c.data = append(c.data, b...)
	}
}

// head is the fields that come first.
func (c *codec) head(g *Grant) {
	c.number(&g.Version)
	c.time(&g.ExpiresAt)
}

func (c *codec) grant(g *Grant) {
	c.head(g)
	c.string(&g.Subject)
	c.string(&g.ClientID)
	c.string((*string)(&g.Stage))
	for _, t := range [...]*time.Time{&g.CreatedAt, &g.EndsAt, &g.AuthTime, &g.RotatedAt} {
		c.time(t)
	}
	for _, s := range [...]*string{&g.ACR, &g.Session, &g.RedirectURI, &g.State, &g.ResponseMode, &g.Nonce, &g.CodeChallenge} {
		c.string(s)
	}
	c.bool(&g.Online)
	if n := c.length(len(g.Scopes) + len(g.Resources) + len(g.AMR)); c.reading {
		c.list = make([]string, n)
	}
	for _, list := range [...]*[]string{&g.Scopes, &g.Resources, &g.AMR} {
		c.strings(list)
	}
	if c.reading {
		c.data = slices.Clone(c.data) // what follows, the caller may change
	}
	for _, b := range [...]*[]byte{(*[]byte)(&g.Claims), &g.ClientHash, &g.Browser, &g.Secret, &g.Lineage, &g.Turn, &g.Previous, &g.Sealed, &g.Token} {
		c.bytes(b)
	}
}

func (c *codec) number(n *int64) {
	if !c.reading {
		var b [binary.MaxVarintLen64]byte
		c.put(b[:binary.PutVarint(b[:], *n)])
		return
	}
	value, size := binary.Varint(c.data)
	*n, c.data = value, c.data[size:]
}

// length writes n, or returns the number that was written.
func (c *codec) length(n int) int {
	value := int64(n)
	c.number(&value)
	return int(value)
}

// time keeps instants, and not their zones.
func (c *codec) time(t *time.Time) {
	seconds, nanoseconds := t.Unix(), int64(t.Nanosecond())
	c.number(&seconds)
	c.number(&nanoseconds)
	if c.reading {
		*t = time.Unix(seconds, nanoseconds).UTC()
	}
}

func (c *codec) bool(b *bool) {
	n := int64(0)
	if *b {
		n = 1
	}
	c.number(&n)
	*b = n != 0
}

func (c *codec) string(s *string) {
	n := c.length(len(*s))
	if !c.reading {
		c.put([]byte(*s))
		return
	}
	at := len(c.text) - len(c.data)
	*s, c.data = c.text[at:at+n], c.data[n:]
}

func (c *codec) strings(list *[]string) {
	n := c.length(len(*list))
	if c.reading && n > 0 {
		*list, c.list = c.list[:n:n], c.list[n:]
	}
	for i := range *list {
		c.string(&(*list)[i])
	}
}

func (c *codec) bytes(b *[]byte) {
	n := c.length(len(*b))
	if !c.reading {
		c.put(*b)
	} else if n > 0 {
		*b, c.data = c.data[:n:n], c.data[n:]
	}
}
