package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// keyFiles are signing keys in a folder that all replicas share. The name of a file is the
// time from which its key signs.
type keyFiles struct {
	dir   string
	every time.Duration // between rotations
}

const (
	keyName = "20060102T150405Z.pem"
	ahead   = 15 * time.Minute // a key is published this long before it signs
	behind  = 48 * time.Hour   // and kept this long after its successor began to
)

// load returns the keys, newest first. It makes the next one when it is due, and forgets those
// whose tokens have long expired.
func (k *keyFiles) load(now time.Time) ([]authwright.SigningKey, error) {
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, err
	}
	times, err := k.times()
	if err != nil {
		return nil, err
	}
	switch {
	case len(times) == 0:
		err = k.create(now)
	case times[0].Add(k.every).Before(now.Add(ahead)):
		err = k.create(now.Add(ahead))
	}
	if err != nil {
		return nil, err
	}
	if times, err = k.times(); err != nil {
		return nil, err
	}
	var keys []authwright.SigningKey
	for i, from := range times {
		if i > 0 && times[i-1].Add(behind).Before(now) {
			if err := os.Remove(k.path(from)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			continue
		}
		key, err := k.read(from)
		if err != nil {
			return nil, err
		}
		keys = append(keys, authwright.SigningKey{Signer: key, NotBefore: from})
	}
	return keys, nil
}

// times are those of the files, newest first.
func (k *keyFiles) times() ([]time.Time, error) {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return nil, err
	}
	var times []time.Time
	for _, e := range entries {
		if t, err := time.Parse(keyName, e.Name()); err == nil {
			times = append(times, t)
		}
	}
	slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	return times, nil
}

func (k *keyFiles) path(from time.Time) string {
	return filepath.Join(k.dir, from.UTC().Format(keyName))
}

// create writes a key, unless another replica does. The file appears when it is complete.
func (k *keyFiles) create(from time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(k.dir, "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = errors.Join(pem.Encode(tmp, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	// Replicas that come to it within the same quarter of an hour agree on a name.
	err = os.Link(tmp.Name(), k.path(from.Truncate(ahead)))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (k *keyFiles) read(from time.Time) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(k.path(from))
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(data)
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("%s: not one PEM block", k.path(from))
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.path(from), err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an ECDSA key", k.path(from))
	}
	return key, nil
}
