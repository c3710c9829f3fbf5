package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A crowd are clients of several replicas, all of one registration, who record what
// happens to them.
type crowd struct {
	*history
	http     *http.Client
	replicas []*replica
	grants   atomic.Int64

	answered, unanswered atomic.Int64 // requests to the token endpoint
}

func newCrowd(replicas []*replica) *crowd {
	return &crowd{
		history:  newHistory(),
		replicas: replicas,
		http: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: 64},
			Timeout:   20 * time.Second, // ten more than the server's
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}
}

// again calls f until it is done, at a random replica first and then at others.
func (c *crowd) again(f func(url string) (done bool, err error)) error {
	patience, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i, wait := rand.IntN(len(c.replicas)), time.Millisecond; ; i, wait = i+1, min(2*wait, 200*time.Millisecond) {
		done, err := f(c.replicas[i%len(c.replicas)].url)
		if err != nil || done {
			return err
		}
		select {
		case <-patience.Done():
			return errors.New("no answer in a minute")
		case <-time.After(wait):
		}
	}
}

// newGrant returns a grant's code.
func (c *crowd) newGrant() (grant int, code string, err error) {
	grant = int(c.grants.Add(1))
	err = c.again(func(replica string) (bool, error) {
		resp, err := c.http.Get(replica + "/authorize?" + url.Values{
			"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {proofRedirect}, "scope": {"read"},
			"code_challenge": {proofChallenge}, "code_challenge_method": {"S256"},
		}.Encode())
		if err != nil {
			return false, nil
		}
		defer resp.Body.Close()
		location, err := resp.Location()
		if err != nil {
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode == http.StatusServiceUnavailable {
				return false, nil
			}
			return false, fmt.Errorf("authorize: %s: %s", resp.Status, body)
		}
		code = location.Query().Get("code")
		if code == "" && location.Query().Get("error") != "temporarily_unavailable" {
			return false, fmt.Errorf("authorize: %s", location)
		}
		return code != "", nil
	})
	return grant, code, err
}

// redeem presents a code once.
func (c *crowd) redeem(replica string, grant int, code string) (answer, error) {
	return c.token(replica, presentation{grant, ""}, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {proofVerifier}, "redirect_uri": {proofRedirect},
	})
}

// refresh presents a refresh token once.
func (c *crowd) refresh(replica string, grant int, token string) (answer, error) {
	return c.token(replica, presentation{grant, token}, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (c *crowd) token(replica string, p presentation, form url.Values) (answer, error) {
	var fault error
	a := c.record(p, func() (a answer) {
		a, fault = c.post(replica+"/token", form)
		return a
	})
	if a.outcome.unknown() {
		c.unanswered.Add(1)
	} else if a.outcome != notTried {
		c.answered.Add(1)
	}
	return a, fault
}

// post returns an error for an answer that no fault of an engine explains.
func (c *crowd) post(endpoint string, form url.Values) (answer, error) {
	r, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{outcome: notTried}, err
	}
	r.GetBody = nil // so that nothing is sent twice behind our back
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("web", url.QueryEscape(proofSecret))
	resp, err := c.http.Do(r)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return answer{outcome: notTried}, nil
	} else if err != nil {
		return answer{outcome: lost}, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{outcome: lost}, nil
	}
	var v struct {
		Error   string `json:"error"`
		Refresh string `json:"refresh_token"`
	}
	err = json.Unmarshal(body, &v)
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable:
		return answer{outcome: unavailable}, nil
	case resp.StatusCode == http.StatusOK && err == nil && v.Refresh != "":
		return answer{granted, v.Refresh}, nil
	case resp.StatusCode == http.StatusBadRequest && v.Error == "invalid_grant":
		return answer{outcome: refused}, nil
	}
	return answer{outcome: lost}, fmt.Errorf("token: %s: %s", resp.Status, body)
}

// keepRedeeming presents a code until there is an answer. The code was lost if that is a
// refusal, and it is the first client to present it.
func (c *crowd) keepRedeeming(grant int, code string) (a answer, lostBy outcome, err error) {
	lostBy = notTried
	err = c.again(func(replica string) (_ bool, err error) {
		a, err = c.redeem(replica, grant, code)
		if a.outcome == lost || a.outcome == unavailable && lostBy != lost {
			lostBy = a.outcome
		}
		return a.outcome == granted || a.outcome == refused, err
	})
	return a, lostBy, err
}

// keepRefreshing presents a refresh token until there is an answer.
func (c *crowd) keepRefreshing(grant int, token string) (a answer, err error) {
	err = c.again(func(replica string) (_ bool, err error) {
		a, err = c.refresh(replica, grant, token)
		return a.outcome == granted || a.outcome == refused, err
	})
	return a, err
}
