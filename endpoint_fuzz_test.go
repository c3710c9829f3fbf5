package authwright_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

var pageAction = regexp.MustCompile(`<form method="post" action="([^"]*)"`)

// Whatever is asked, the browser is sent to where its client is at home, to the host's login
// page, or nowhere; and nothing is written for strangers.
func FuzzAuthorize(f *testing.F) {
	tg := newTarget(f)
	for _, changes := range [][]string{
		{}, {"redirect_uri", "https://web.example@evil.test/cb"}, {"redirect_uri", `https://evil.test\@web.example/cb`}, {"redirect_uri", ""}, {"client_id", "nobody"}, {"client_id", "house", "redirect_uri", "https://house.example/cb"},
		{"client_id", "house", "redirect_uri", "https://house.example/cb?a=%31&code=x"}, {"client_id", "cli", "redirect_uri", "http://127.0.0.1:51004/cb"}, {"client_id", "native", "redirect_uri", "com.example.app:/cb"}, {"client_id", "native", "redirect_uri", "http://localhost:1/cb"},
		{"client_id", "stranger", "redirect_uri", "https://stranger.example/cb", "scope", "nonsense"}, {"response_type", "token"}, {"response_type", "code token"}, {"scope", "admin"}, {"scope", ""}, {"prompt", "none"}, {"prompt", "login consent"}, {"prompt", "none login"},
		{"max_age", "0"}, {"max_age", "-1"}, {"response_mode", "form_post"}, {"response_mode", "fragment"}, {"request", "eyJ"}, {"request_uri", "https://evil.test"}, {"code_challenge_method", "plain"}, {"code_challenge", ""}, {"state", "\"><script>\r\nX: y"},
		{"client_id", "house", "redirect_uri", "https://house.example/cb", "scope", "openid email", "claims", `{"userinfo":{"email":{"essential":true}}}`}, {"scope", "openid", "id_token_hint", "a.b.c"}, {"resource", "https://elsewhere.example"}, {"authwright_began", "1"}, {"authwright_bounced", "1"},
	} {
		q := request(changes...).Encode()
		f.Add(q, "", false, true, "")
		f.Add(q, "", false, false, "cross-site")
		f.Add("", q, true, true, "")
		f.Add(q+"&redirect_uri=https%3A%2F%2Fevil.test%2F", "", false, true, "")
		f.Add(q, "redirect_uri=https%3A%2F%2Fevil.test%2F&client_id=web", true, true, "")
	}
	f.Fuzz(func(t *testing.T, query, body string, post, signedIn bool, site string) {
		tg.forget(t)
		h, method := with(http.Header{}, "Sec-Fetch-Site", site, "Sec-Fetch-Dest", "document"), http.MethodGet
		if signedIn {
			h = with(h, "Cookie", "session=alice")
		}
		if post {
			method = http.MethodPost
			h.Set("Content-Type", formType)
		}
		w := tg.send(t, method, "/authorize", query, body, h)
		location, client := w.Header().Get("Location"), once(query, "client_id")
		if post && location != "" {
			require.True(t, strings.HasPrefix(location, "/authorize?"), location)
			w = tg.send(t, http.MethodGet, "/authorize", location[len("/authorize?"):], "", h)
			client = once(location[len("/authorize?"):], "client_id")
			location = w.Header().Get("Location")
		}
		grants := tg.kept(t)
		require.True(t, signedIn || len(grants) == 0, "nothing is written for strangers")
		switch {
		case w.Code == http.StatusSeeOther && strings.HasPrefix(location, "/login?next=%2Fauthorize%3F"):
			require.Empty(t, grants)
		case w.Code == http.StatusSeeOther:
			require.True(t, tg.home(t, client, location), "%s at %s", client, location)
			_, answer, _ := strings.Cut(location, "?")
			require.Equal(t, targetIssuer, once(answer, "iss"))
			code, fault := once(answer, "code"), once(answer, "error")
			require.True(t, (code == "") != (fault == ""), location)
			require.Equal(t, code != "", len(grants) == 1)
		case w.Code == http.StatusOK:
			if action := pageAction.FindStringSubmatch(w.Body.String()); action != nil && !strings.HasPrefix(action[1], "/consent?") {
				require.True(t, tg.home(t, client, action[1]), action[1])
			}
		default:
			require.Empty(t, location)
		}
		for _, g := range grants {
			c, err := tg.store.Client(t.Context(), g.ClientID)
			require.NoError(t, err)
			require.Equal(t, client, g.ClientID)
			require.Subset(t, append(c.Scopes, ""), append(g.Scopes, ""))
			require.True(t, tg.home(t, client, g.RedirectURI+"?"), g.RedirectURI)
			require.Len(t, g.CodeChallenge, 43)
			require.Equal(t, g.Stage == authwright.StageCode, client == "house")
		}
	})
}

// Nobody gets a token but who brings everything that its secret is bound to, and whoever does not
// spends nothing.
func FuzzTokenForm(f *testing.F) {
	tg := newTarget(f)
	code, refresh, records := tg.credentials(f)
	fill := strings.NewReplacer("{code}", code, "{refresh}", refresh, "{verifier}", verifier, "{secret}", webSecret)
	const good = "grant_type=authorization_code&code={code}&code_verifier={verifier}&redirect_uri=https%3A%2F%2Fweb.example%2Fcb"
	for _, body := range []string{
		good, good + "&client_id=web", good + "&client_id=other", good + "&client_id=web&client_secret={secret}", "grant_type=refresh_token&refresh_token={refresh}", "grant_type=refresh_token&refresh_token={refresh}&scope=read", "grant_type=refresh_token&refresh_token={refresh}&scope=admin",
		"grant_type=refresh_token&refresh_token={code}", "grant_type=authorization_code&code={refresh}&code_verifier={verifier}", "grant_type=authorization_code&code={code}", "grant_type=authorization_code&code={code}&code={code}&code_verifier={verifier}", "grant_type=client_credentials&client_id=robot&client_secret=s&scope=read",
		"grant_type=password&username=alice&password=x", "grant_type=urn:ietf:params:oauth:grant-type:device_code", "", "grant_type=", good + "%", strings.Repeat("a=b&", 200), "grant_type=authorization_code&code={code}%00&code_verifier={verifier}", "grant_type=refresh_token&refresh_token={refresh}&client_assertion=e30.e30.x&client_assertion_type=" + jwtBearer,
		"grant_type=authorization_code&code={code}&code_verifier={verifier}&redirect_uri=https%3A%2F%2Fweb.example%2Fcb%2F", "grant_type=refresh_token&refresh_token={refresh}&resource=https%3A%2F%2Fas.example", "grant_type=refresh_token&refresh_token={refresh}&resource=x",
	} {
		for _, auth := range []string{"", basic("web:" + webSecret), basic("other:" + otherSecret), basic("web:"), "Bearer {refresh}", "Basic ="} {
			f.Add(body, formType, auth, "")
		}
		f.Add(body, "application/json", basic("web:"+webSecret), "")
		f.Add(body, formType+"; charset=utf-8", basic("web:"+webSecret), "code={code}")
	}
	f.Fuzz(func(t *testing.T, body, contentType, auth, query string) {
		tg.restore(t, records...)
		body, query, auth = fill.Replace(body), fill.Replace(query), fill.Replace(auth)
		w := tg.send(t, http.MethodPost, "/token", query, body, with(http.Header{}, "Content-Type", contentType, "Authorization", auth))
		answer := fields(t, w)
		if w.Code != http.StatusOK {
			require.NotEmpty(t, answer["error"])
			require.NotContains(t, answer, "access_token")
			for _, g := range tg.kept(t) {
				require.EqualValues(t, 1, g.Version, "a refused request spends nothing")
			}
			return
		}
		require.NotEmpty(t, answer["access_token"])
		client := "web"
		switch once(body, "grant_type") {
		case "authorization_code":
			require.Equal(t, code, once(body, "code"))
			require.Equal(t, verifier, once(body, "code_verifier"))
		case "refresh_token":
			require.Equal(t, refresh, once(body, "refresh_token"))
		default:
			require.Equal(t, "client_credentials", once(body, "grant_type"))
			require.NotContains(t, answer, "refresh_token")
			client = "robot"
		}
		if auth == "" {
			require.Equal(t, client, once(body, "client_id"))
			require.NotEmpty(t, once(body, "client_secret"))
		} else {
			require.Empty(t, once(body, "client_secret"))
		}
		require.Equal(t, client, claims(t, answer["access_token"])["client_id"])
		require.Subset(t, []string{"", "read", "write", "openid", "email", "offline_access"}, strings.Split(answer["scope"].(string), " "))
	})
}

// credentials returns a live code and a live refresh token of web, and the records they belong to.
func (tg *target) credentials(f *testing.F) (code, refresh string, records []*authwright.Grant) {
	f.Helper()
	grants := make(map[string]*authwright.Grant)
	for _, secret := range []*string{&refresh, &code} {
		page := tg.send(f, http.MethodGet, "/authorize", request("prompt", "consent").Encode(), "", asAlice())
		cookie, _, _ := strings.Cut(page.Header().Get("Set-Cookie"), ";")
		form := url.Values{"consent": {hiddenValue(page.Body.String(), "consent")}, "decision": {"approve"}, "scope": {"read", "write"}}
		back := tg.send(f, http.MethodPost, "/consent", "", form.Encode(), asAlice("Cookie", cookie, "Content-Type", formType))
		u, err := url.Parse(back.Header().Get("Location"))
		require.NoError(f, err)
		*secret = u.Query().Get("code")
		require.NotEmpty(f, *secret)
		if secret == &refresh {
			w := tg.send(f, http.MethodPost, "/token", "", codeForm(*secret).Encode(), http.Header{"Content-Type": {formType}, "Authorization": {basic("web:" + webSecret)}})
			*secret = fields(f, w)["refresh_token"].(string)
		}
	}
	for _, g := range tg.kept(f) {
		if g.Stage == authwright.StageCode || g.Stage == authwright.StageActive {
			grants[g.ID] = g
			records = append(records, g)
		}
	}
	require.Len(f, grants, 2)
	return code, refresh, records
}

// A code comes only of the answer that its own user gives, in the browser that was asked, and it
// grants nothing that was not asked for.
func FuzzConsentForm(f *testing.F) {
	tg := newTarget(f)
	asked := request()
	page := tg.send(f, http.MethodGet, "/authorize", asked.Encode(), "", asAlice())
	cookie, _, _ := strings.Cut(page.Header().Get("Set-Cookie"), ";")
	handle, records := hiddenValue(page.Body.String(), "consent"), tg.kept(f)
	require.Len(f, records, 1)
	fill := strings.NewReplacer("{handle}", handle, "{cookie}", cookie)
	for _, body := range []string{
		"consent={handle}&decision=approve&scope=read", "consent={handle}&decision=approve&scope=read&scope=write&scope=admin", "consent={handle}&decision=deny", "consent={handle}&decision=approve", "consent={handle}", "consent={handle}&decision=approve&decision=deny&scope=read",
		"consent={handle}&consent={handle}&decision=approve&scope=read", "decision=approve&scope=read", "consent={handle}x&decision=approve&scope=read", "consent={handle}&decision=approve&scope=read&client_id=other&redirect_uri=https%3A%2F%2Fevil.test&state=x&code_challenge=x", "", "%",
	} {
		f.Add(body, asked.Encode(), "{cookie}; session=alice", "https://as.example", "same-origin")
		f.Add(body, "", "{cookie}; session=bob", "", "")
		f.Add(body, "", "{cookie}; session=alice", "https://evil.test", "cross-site")
		f.Add(body, "", "{cookie}x; session=alice", "", "same-origin")
		f.Add(body, "", "session=alice", "", "")
		f.Add(body, "redirect_uri=https%3A%2F%2Fevil.test", "session=alice", "null", "cross-site")
		f.Add(body, "%zz", "{cookie}", "https://as.example.evil.test", "same-site")
	}
	f.Fuzz(func(t *testing.T, body, query, cookies, origin, site string) {
		tg.restore(t, records...)
		body, cookies = fill.Replace(body), fill.Replace(cookies)
		w := tg.send(t, http.MethodPost, "/consent", query, body, with(http.Header{}, "Content-Type", formType, "Cookie", cookies, "Origin", origin, "Sec-Fetch-Site", site))
		location := w.Header().Get("Location")
		g, err := tg.store.Grant(t.Context(), records[0].ID)
		require.NoError(t, err)
		if w.Code != http.StatusSeeOther || strings.HasPrefix(location, "/authorize?") {
			require.Equal(t, authwright.StageConsent, g.Stage, "it can still be answered")
			return
		}
		require.True(t, strings.HasPrefix(location, "https://web.example/cb?"), location)
		require.Equal(t, handle, once(body, "consent"))
		require.True(t, site == "" || site == "same-origin" || site == "none" || origin == targetIssuer, site)
		r := &http.Request{Header: http.Header{"Cookie": {cookies}}}
		name, value, _ := strings.Cut(cookie, "=")
		for name, want := range map[string]string{name: value, "session": "alice"} {
			c, err := r.Cookie(name)
			require.NoError(t, err)
			require.Equal(t, want, c.Value)
		}
		_, answer, _ := strings.Cut(location, "?")
		require.Equal(t, "xyz", once(answer, "state"))
		require.Equal(t, targetIssuer, once(answer, "iss"))
		if once(answer, "code") == "" {
			require.Equal(t, "access_denied", once(answer, "error"))
			require.Equal(t, authwright.StageRevoked, g.Stage)
			return
		}
		require.Equal(t, "approve", once(body, "decision"))
		require.Equal(t, authwright.StageCode, g.Stage)
		require.NotEmpty(t, g.Scopes)
		form, err := url.ParseQuery(body)
		require.NoError(t, err)
		for _, scope := range g.Scopes {
			require.True(t, slices.Contains([]string{"read", "write"}, scope) && slices.Contains(form["scope"], scope), scope)
		}
		require.Equal(t, []string{"web", challenge, "https://web.example/cb"}, []string{g.ClientID, g.CodeChallenge, g.RedirectURI})
	})
}
