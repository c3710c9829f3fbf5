package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"

	"github.com/authwright/authwright/bench/subject"
)

// A conn is a connection that is kept alive. It writes requests and reads answers with as
// little work as it can, because it shares the machine with what it measures.
type conn struct {
	net.Conn
	r    *bufio.Reader
	out  []byte
	body []byte // of the last answer

	location string   // of the last answer
	live     []string // refresh tokens of this connection, used in turn
	next     int
	codes    []string // that wait to be redeemed
}

func dial(addr string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, r: bufio.NewReader(c)}, nil
}

var (
	authorizeHead = "GET /authorize?" + subject.AuthorizeQuery + " HTTP/1.1\r\nHost: auth.example.com\r\n\r\n"
	postHead      = " HTTP/1.1\r\nHost: auth.example.com\r\nAuthorization: " + subject.Basic +
		"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "
)

// post sends a form, which is in two parts, and wants status 200.
func (c *conn) post(path, form, value string) error {
	c.out = append(append(append(c.out[:0], "POST "...), path...), postHead...)
	c.out = strconv.AppendInt(c.out, int64(len(form)+len(value)), 10)
	c.out = append(append(append(c.out, "\r\n\r\n"...), form...), value...)
	return c.exchange(200)
}

// exchange sends what is in c.out and reads the answer, whose status is one of those wanted.
func (c *conn) exchange(want ...int) error {
	if _, err := c.Write(c.out); err != nil {
		return err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 {
		return fmt.Errorf("status line %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return err
	}
	length := 0
	c.location = ""
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return err
			}
		} else if v, ok := bytes.CutPrefix(line, []byte("Location: ")); ok {
			c.location = string(bytes.TrimSpace(v))
		} else if bytes.HasPrefix(line, []byte("Transfer-Encoding:")) {
			return errors.New("the answer is chunked")
		}
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.r, c.body); err != nil {
		return err
	}
	if !slices.Contains(want, status) {
		return fmt.Errorf("status %d instead of %d: %s", status, want, c.body)
	}
	return nil
}

func (c *conn) empty() error { return c.post("/empty", subject.RefreshForm, c.live[0]) }

// refresh refreshes the next grant.
func (c *conn) refresh() error {
	i := c.next
	c.next = (i + 1) % len(c.live)
	token, err := c.tokens(subject.RefreshForm, c.live[i])
	c.live[i] = token
	return err
}

// redeem trades the next code.
func (c *conn) redeem() error {
	last := len(c.codes) - 1
	if last < 0 {
		return errNoCodes
	}
	code := c.codes[last]
	c.codes = c.codes[:last]
	_, err := c.tokens(subject.RedeemForm, code)
	return err
}

// errNoCodes ends a measurement early.
var errNoCodes = errors.New("there are no more codes")

func (c *conn) tokens(form, value string) (refresh string, err error) {
	if err := c.post("/token", form, value); err != nil {
		return "", err
	}
	_, rest, _ := bytes.Cut(c.body, []byte(`"refresh_token":"`))
	token, _, found := bytes.Cut(rest, []byte(`"`))
	if !found || !bytes.Contains(c.body, []byte(`"access_token":"ey`)) {
		return "", fmt.Errorf("no tokens in %s", c.body)
	}
	return string(token), nil
}

// authorize gets a code.
func (c *conn) authorize() (string, error) {
	c.out = append(c.out[:0], authorizeHead...)
	if err := c.exchange(302, 303); err != nil {
		return "", err
	}
	_, rest, found := bytes.Cut([]byte(c.location), []byte("code="))
	code, _, _ := bytes.Cut(rest, []byte("&"))
	if !found {
		return "", fmt.Errorf("no code in %s", c.location)
	}
	return string(code), nil
}

// prepareGrants makes n grants to refresh.
func (c *conn) prepareGrants(n int) error {
	for range n {
		code, err := c.authorize()
		if err != nil {
			return err
		}
		token, err := c.tokens(subject.RedeemForm, code)
		if err != nil {
			return err
		}
		c.live = append(c.live, token)
	}
	return nil
}

// prepareCodes makes n codes to redeem, and forgets those that are left.
func (c *conn) prepareCodes(n int) error {
	c.codes = c.codes[:0]
	for range n {
		code, err := c.authorize()
		if err != nil {
			return err
		}
		c.codes = append(c.codes, code)
	}
	return nil
}
