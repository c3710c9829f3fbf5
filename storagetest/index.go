package storagetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// A list is a listing of one subject or client.
type list func(ctx context.Context, page string, limit int) ([]*authwright.Grant, string, error)

func bySubject(s authwright.Index, subject string) list {
	return func(ctx context.Context, page string, limit int) ([]*authwright.Grant, string, error) {
		return s.GrantsBySubject(ctx, subject, page, limit)
	}
}

func byClient(s authwright.Index, id string) list {
	return func(ctx context.Context, page string, limit int) ([]*authwright.Grant, string, error) {
		return s.GrantsByClient(ctx, id, page, limit)
	}
}

// each calls f for every grant of a list, and returns an error if the list goes on for
// ever or a page is longer than limit.
func (l list) each(ctx context.Context, limit int, f func(*authwright.Grant) error) error {
	const endless = 5000
	for page, pages := "", 0; ; pages++ {
		grants, next, err := l(ctx, page, limit)
		switch {
		case err != nil:
			return err
		case limit > 0 && len(grants) > limit:
			return fmt.Errorf("a page has %d grants, but the limit is %d", len(grants), limit)
		case pages == endless:
			return fmt.Errorf("there is still a next page after %d", endless)
		}
		for _, g := range grants {
			if g == nil {
				return errors.New("a grant is nil")
			}
			if err := f(g); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		page = next
	}
}

// expectListed returns an error unless l has exactly the grants with the given IDs, each
// once.
func expectListed(ctx context.Context, l list, limit int, ids ...string) error {
	missing := make(map[string]bool)
	for _, id := range ids {
		missing[id] = true
	}
	if err := l.each(ctx, limit, func(g *authwright.Grant) error {
		if !missing[g.ID] {
			return fmt.Errorf("grant %.40q of subject %.40q and client %.40q is listed twice or does not belong here", g.ID, g.Subject, g.ClientID)
		}
		delete(missing, g.ID)
		return nil
	}); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("%d of %d grants are not listed: %.80q", len(missing), len(ids), slices.Sorted(maps.Keys(missing)))
	}
	return nil
}

// saveFor saves n new grants of subject with client and returns their IDs.
func saveFor(ctx context.Context, s Store, subject, client string, n int) (ids []string, err error) {
	for i := range n {
		g := newGrant(fmt.Sprintf("%.40s %.40s %d", subject, client, i))
		g.Subject, g.ClientID = subject, client
		if err := s.SaveGrant(ctx, g); err != nil {
			return nil, err
		}
		ids = append(ids, g.ID)
	}
	return ids, nil
}

func indexComplete(ctx context.Context, s Store) error {
	stages := []authwright.Stage{authwright.StageConsent, authwright.StageCode, authwright.StageActive, authwright.StageRevoked, authwright.StageRemembered}
	bySubjects, byClients := make(map[string][]string), make(map[string][]string)
	for _, subject := range []string{"ada", "bob", "ad", "ada2"} {
		for _, client := range []string{"app", "ap", "app2"} {
			for _, stage := range stages {
				g := newGrant(subject + client + string(stage))
				g.Subject, g.ClientID, g.Stage = subject, client, stage
				if err := s.SaveGrant(ctx, g); err != nil {
					return err
				}
				bySubjects[subject] = append(bySubjects[subject], g.ID)
				byClients[client] = append(byClients[client], g.ID)
			}
		}
	}
	return expectLists(ctx, s, 0, bySubjects, byClients)
}

func expectLists(ctx context.Context, s Store, limit int, bySubjects, byClients map[string][]string) error {
	for subject, ids := range bySubjects {
		if err := expectListed(ctx, bySubject(s, subject), limit, ids...); err != nil {
			return fmt.Errorf("subject %.40q: %w", subject, err)
		}
	}
	for client, ids := range byClients {
		if err := expectListed(ctx, byClient(s, client), limit, ids...); err != nil {
			return fmt.Errorf("client %.40q: %w", client, err)
		}
	}
	return nil
}

func indexRecord(ctx context.Context, s Store) error {
	g := newGrant("record")
	for _, g := range []*authwright.Grant{g, successor(g), revoked(successor(g))} {
		if err := s.SaveGrant(ctx, g); err != nil {
			return err
		}
		for _, l := range []list{bySubject(s, g.Subject), byClient(s, g.ClientID)} {
			if err := expectListed(ctx, l, 0, g.ID); err != nil {
				return fmt.Errorf("version %d: %w", g.Version, err)
			}
			if err := l.each(ctx, 0, func(listed *authwright.Grant) error { return same(listed, g) }); err != nil {
				return fmt.Errorf("version %d: %w", g.Version, err)
			}
		}
	}
	return nil
}

func indexUnknown(ctx context.Context, s Store) error {
	if _, err := saveFor(ctx, s, "ada", "app", 3); err != nil {
		return err
	}
	for _, l := range []list{bySubject(s, "nobody"), byClient(s, "nothing"), bySubject(s, "app"), byClient(s, "ada")} {
		grants, next, err := l(ctx, "", 10)
		if err != nil {
			return err
		}
		if len(grants) > 0 || next != "" {
			return fmt.Errorf("got %d grants and the next page %q", len(grants), next)
		}
	}
	return nil
}

func indexAnySubject(ctx context.Context, s Store) error {
	long := strings.Repeat("s", 2047) // a client that acts for itself is its subject
	bySubjects, byClients := make(map[string][]string), make(map[string][]string)
	for i, text := range append(oddTexts(), long, long+"a", long+"A") {
		g := emptyGrant(fmt.Sprint("grant ", i))
		g.Subject, g.ClientID = text, text
		if err := s.SaveGrant(ctx, g); err != nil {
			return fmt.Errorf("subject %.40q: %w", text, err)
		}
		bySubjects[text] = []string{g.ID}
		byClients[text] = []string{g.ID}
	}
	return expectLists(ctx, s, 10, bySubjects, byClients)
}

func indexConflict(ctx context.Context, s Store) error {
	ids, err := saveFor(ctx, s, "ada", "app", 1)
	if err != nil {
		return err
	}
	for _, version := range []int64{1, 3} {
		g := newGrant(ids[0])
		g.Version, g.Subject, g.ClientID = version, "mallory", "evil"
		if err := expect(s.SaveGrant(ctx, g), authwright.ErrConflict); err != nil {
			return err
		}
	}
	return expectLists(ctx, s, 0,
		map[string][]string{"ada": ids, "mallory": nil},
		map[string][]string{"app": ids, "evil": nil})
}

func indexCopiedOut(ctx context.Context, s Store) error {
	g := newGrant("copied out")
	if err := s.SaveGrant(ctx, g); err != nil {
		return err
	}
	for _, l := range []list{bySubject(s, g.Subject), byClient(s, g.ClientID)} {
		if err := l.each(ctx, 0, func(listed *authwright.Grant) error {
			scribble(reflect.ValueOf(listed))
			return expectGrant(ctx, s, g)
		}); err != nil {
			return err
		}
	}
	return nil
}

func indexContext(ctx context.Context, s Store) error {
	if _, err := saveFor(ctx, s, "ada", "app", 1); err != nil {
		return err
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, _, subjectErr := s.GrantsBySubject(done, "ada", "", 0)
	_, _, clientErr := s.GrantsByClient(done, "app", "", 0)
	_, deleteErr := s.DeleteExpired(done, time.Now(), 0)
	for name, err := range map[string]error{"GrantsBySubject": subjectErr, "GrantsByClient": clientErr, "DeleteExpired": deleteErr} {
		if err == nil || errors.Is(err, authwright.ErrNotFound) || errors.Is(err, authwright.ErrConflict) {
			return fmt.Errorf("%s: got error %v", name, err)
		}
	}
	return nil
}
