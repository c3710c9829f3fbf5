package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/resource"
)

const (
	pathMCP  = "/mcp"
	toolList = "list_notes"
	toolAdd  = "add_note"
)

// registerMCP mounts the MCP server. It trusts the authorization server beside it, whose
// keys it has and whom it asks whether a token has been revoked.
func registerMCP(mux *http.ServeMux, srv *authwright.Server, issuer string, site *site) {
	api := &resource.Verifier{
		Issuer:   issuer,
		Audience: issuer + pathMCP,
		Keys:     srv.JWKS,
		Live:     srv.GrantActive,
		// What every client needs. For more, the challenge asks when it is time.
		Metadata: &resource.Metadata{Name: "Notebook", Scopes: []string{scopeRead}},
	}
	api.Register(mux)
	mux.HandleFunc("GET /.well-known/oauth-protected-resource", api.ServeMetadata) // where older clients look

	tools := mcp.NewServer(&mcp.Implementation{Name: "notebook", Version: "1.0.0"}, nil)
	mcp.AddTool(tools, &mcp.Tool{Name: toolList, Description: "Lists your notes."}, site.listNotes)
	mcp.AddTool(tools, &mcp.Tool{Name: toolAdd, Description: "Adds a note."}, site.addNote)
	handler := mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return tools },
		// Without sessions, it is the token of each request that says whose it is.
		&mcp.StreamableHTTPOptions{Stateless: true},
	)
	mux.Handle(pathMCP, guard(api, translate(handler)))
}

// guard asks for the scopes that the request needs, all of them at once. All tools are
// behind one URL, so that what a request needs is in its body, which is not read before it
// has brought a token.
func guard(api *resource.Verifier, next http.Handler) http.Handler {
	write := api.Require(scopeRead, scopeWrite)(next)
	return api.Require(scopeRead)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "the body is too large, or ended early", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var message struct {
			Method string `json:"method"`
			Params struct {
				Name string `json:"name"`
			} `json:"params"`
		}
		// What is not understood here is the SDK's to refuse. This decides which question
		// the client is asked; addNote itself decides whether a note is added.
		if json.Unmarshal(body, &message) == nil && message.Method == "tools/call" && message.Params.Name == toolAdd {
			write.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// translate tells the SDK in its own words about the token that has been verified.
func translate(next http.Handler) http.Handler {
	return auth.RequireBearerToken(func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
		t := resource.FromContext(ctx)
		return &auth.TokenInfo{
			UserID: t.Subject, Scopes: t.Scopes, Expiration: t.Expiry, Extra: map[string]any{"token": t},
		}, nil
	}, &auth.RequireBearerTokenOptions{ClockSkew: time.Minute})(next)
}

// caller is whom a tool works for, and with which permissions.
func caller(req *mcp.CallToolRequest) *resource.Token {
	if req.Extra == nil || req.Extra.TokenInfo == nil {
		return nil
	}
	t, _ := req.Extra.TokenInfo.Extra["token"].(*resource.Token)
	return t
}

var errScope = errors.New("the access token does not permit this")

func (s *site) listNotes(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	who := caller(req)
	if !who.HasScope(scopeRead) {
		return nil, nil, errScope
	}
	return text(strings.Join(s.notes(who.Subject), "\n")), nil, nil
}

type newNote struct {
	Text string `json:"text" jsonschema:"what to write down"`
}

func (s *site) addNote(_ context.Context, req *mcp.CallToolRequest, note newNote) (*mcp.CallToolResult, any, error) {
	who := caller(req)
	if !who.HasScope(scopeRead) || !who.HasScope(scopeWrite) {
		return nil, nil, errScope
	}
	s.add(who.Subject, note.Text)
	return text("written down"), nil, nil
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}
