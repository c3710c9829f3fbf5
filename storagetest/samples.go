package storagetest

import (
	"reflect"
	"slices"
	"time"

	"github.com/authwright/authwright"
)

// newGrant returns version 1 of a live grant in which no field is zero, fields that are
// yet to be invented included.
func newGrant(id string) *authwright.Grant {
	g := new(authwright.Grant)
	fill(reflect.ValueOf(g).Elem(), "grant", new(int))
	g.ID, g.Version, g.Stage = id, 1, authwright.StageActive
	g.ClientID, g.Subject = "app", "ada"
	g.CreatedAt, g.ExpiresAt, g.EndsAt = fromNow(0), fromNow(time.Hour), fromNow(24*time.Hour)
	return g
}

// successor returns the version of g that a rotation would save.
func successor(g *authwright.Grant) *authwright.Grant {
	h := newGrant(g.ID)
	h.Version = g.Version + 1
	h.ClientID, h.Subject = g.ClientID, g.Subject
	return h
}

// revoked returns the tombstone that takes the place of g.
func revoked(g *authwright.Grant) *authwright.Grant {
	return &authwright.Grant{
		ID: g.ID, Version: g.Version + 1, Stage: authwright.StageRevoked,
		ClientID: g.ClientID, Subject: g.Subject,
		CreatedAt: g.CreatedAt, ExpiresAt: fromNow(10 * time.Minute),
	}
}

// fromNow is a time of the precision that every database keeps.
func fromNow(d time.Duration) time.Time {
	return time.Now().Add(d).UTC().Truncate(time.Millisecond)
}

// someClients returns valid clients in which, taken together, each field of Client that
// can be filled is, fields that are yet to be invented included. Not all of them can be
// in one client.
func someClients() []*authwright.Client {
	clients := []*authwright.Client{fullClient(), plainClient("plain"), idleClient()}
	for _, id := range []string{"varied-1", "varied-2", "varied-3"} {
		c := plainClient(id)
		v := reflect.ValueOf(c).Elem()
		for i := range v.NumField() {
			if !slices.ContainsFunc(clients, func(c *authwright.Client) bool { return !reflect.ValueOf(c).Elem().Field(i).IsZero() }) {
				fillValid(c, v.Field(i), v.Type().Field(i).Name)
			}
		}
		clients = append(clients, c)
	}
	return clients
}

// fillValid gives f, a field of c, the first value with which c is valid.
func fillValid(c *authwright.Client, f reflect.Value, name string) {
	for _, text := range []string{"https://app.example/" + name, "ES256", "RS256", name, ""} {
		switch {
		case text == "":
			fill(f, name, new(int))
		case f.Kind() == reflect.String:
			f.SetString(text)
		case f.Type() == reflect.TypeFor[[]string]():
			f.Set(reflect.ValueOf([]string{text}))
		}
		if !f.IsZero() && c.Validate() == nil {
			return
		}
		f.SetZero()
	}
}

// fullClient returns a client that is registered with all there is to a website.
func fullClient() *authwright.Client {
	expires := time.Date(2100, 1, 2, 3, 4, 5, 678e6, time.UTC)
	return &authwright.Client{
		ID:   "app",
		Name: "Ada's \"App\" é\u2028𝄞",
		Secrets: []authwright.ClientSecret{
			{Hash: "sha256:LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ", ExpiresAt: expires},
			{Hash: "sha256:uDYlYNRODVkmnBvLi9cSzJ5OWCbIY8bIgMZ1ZRUs1Gk", ExpiresAt: expires.Add(time.Hour)},
		},
		AuthMethod:    authwright.AuthSecretBasic,
		Native:        true,
		RedirectURIs:  []string{"https://app.example/cb?a=1&b=2", "http://127.0.0.1/cb"},
		GrantTypes:    []string{"authorization_code", "refresh_token"},
		Scopes:        []string{"read", "write", "https://app.example/#x"},
		DefaultScopes: []string{"read"},
		Resources:     []string{"https://api.example/", "https://files.example/"},
		Consent:       authwright.ConsentAlways,
		Disabled:      true,
		CreatedAt:     time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC),
	}
}

// idleClient returns a client that may do nothing: of its lists, those that mean
// everything when they are nil are empty.
func idleClient() *authwright.Client {
	return &authwright.Client{
		ID: "idle", Scopes: []string{"read"},
		GrantTypes: []string{}, DefaultScopes: []string{}, Resources: []string{},
	}
}

// plainClient returns a client with little more than an ID.
func plainClient(id string) *authwright.Client {
	return &authwright.Client{ID: id, RedirectURIs: []string{"https://plain.example/cb"}}
}
