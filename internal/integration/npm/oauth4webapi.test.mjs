import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as oauth from 'oauth4webapi';
import { authorize, newPage, settings } from './person.mjs';

const { issuer, api, otherAPI, callback, home, secret } = settings;
const server = new URL(issuer);
const key = await crypto.subtle.importKey('jwk', settings.key, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);

// Clients of the target, with how they authenticate.
const clients = [
  [{ client_id: 'basic' }, oauth.ClientSecretBasic(secret)],
  [{ client_id: 'post', id_token_signed_response_alg: 'ES256' }, oauth.ClientSecretPost(secret)],
  [{ client_id: 'jwt' }, oauth.PrivateKeyJwt(key)],
  [{ client_id: 'public' }, oauth.None()],
];
const confidential = clients.slice(0, 3);

const discover = async (algorithm) =>
  oauth.processDiscoveryResponse(server, await oauth.discoveryRequest(server, { algorithm }));
const as = await discover('oidc');

// One person, signed in from the first test on, for all that do not say otherwise.
const alice = await newPage();

// signIn takes a person through the code flow and validates all there is to validate.
async function signIn(page, client, auth, parameters = {}) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const nonce = oauth.generateRandomNonce();
  const address = new URL(as.authorization_endpoint);
  address.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: callback,
    scope: 'openid profile email offline_access read',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    max_age: '300',
    ...parameters,
  });
  const answer = await authorize(page, address);
  const received = answer.method === 'POST' ? new URLSearchParams(await oauth.formPostResponse(answer)) : new URL(answer.url);
  const params = oauth.validateAuthResponse(as, client, received, state);
  const response = await oauth.authorizationCodeGrantRequest(as, client, auth, params, callback, verifier);
  const expected = { expectedNonce: nonce, maxAge: 300, requireIdToken: true };
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, expected);
  await oauth.validateApplicationLevelSignature(as, response);
  return tokens;
}

const userInfo = async (client, token, sub) =>
  oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, token));

const introspect = async (client, auth, token) =>
  oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, token));

const refresh = async (client, auth, token, parameters) =>
  oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, auth, token, { additionalParameters: parameters }));

const revoke = async (client, auth, token) =>
  oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, token));

const clientCredentials = async (client, auth, parameters) =>
  oauth.processClientCredentialsResponse(as, client, await oauth.clientCredentialsGrantRequest(as, client, auth, parameters));

// callAPI is a request to a resource server that verifies the access token.
const callAPI = (token, audience) =>
  oauth.validateJwtAccessToken(as, new Request(audience, { headers: { Authorization: `Bearer ${token}` } }), audience);

test('discovery', async () => {
  assert.deepEqual(await discover('oauth2'), as);
});

for (const [client, auth] of clients) {
  const id = client.client_id;

  test(`code, userinfo, refresh and revocation as ${id}`, async () => {
    const first = await signIn(alice, client, auth);
    const { sub, auth_time } = oauth.getValidatedIdTokenClaims(first);
    assert.equal(sub, 'u1');
    assert.equal((await userInfo(client, first.access_token, sub)).email, 'alice@example.com');
    const claims = await callAPI(first.access_token, api);
    assert.equal(claims.client_id, id);
    assert.equal(claims.sub, sub);
    assert.equal(claims.scope, first.scope);
    await assert.rejects(callAPI(first.access_token, otherAPI), { code: 'OAUTH_JWT_CLAIM_COMPARISON_FAILED' });

    const second = await refresh(client, auth, first.refresh_token);
    assert.equal(oauth.getValidatedIdTokenClaims(second).auth_time, auth_time);
    await userInfo(client, second.access_token, sub);

    await revoke(client, auth, second.access_token);
    await revoke(client, auth, second.refresh_token);
    await assert.rejects(refresh(client, auth, second.refresh_token), { status: 400, error: 'invalid_grant' });
    await assert.rejects(userInfo(client, second.access_token, sub), (err) => {
      assert.equal(err.status, 401);
      assert.equal(err.cause[0].scheme, 'bearer');
      assert.equal(err.cause[0].parameters.error, 'invalid_token');
      return true;
    });
  });

  test(`form_post as ${id}`, async () => {
    const tokens = await signIn(alice, client, auth, { response_mode: 'form_post' });
    assert.equal(oauth.getValidatedIdTokenClaims(tokens).aud, id);
  });
}

for (const [client, auth] of confidential) {
  const id = client.client_id;

  test(`client credentials and introspection as ${id}`, async () => {
    const tokens = await clientCredentials(client, auth, { scope: 'read write', resource: otherAPI });
    assert.equal((await callAPI(tokens.access_token, otherAPI)).sub, id);
    const { active, scope, client_id } = await introspect(client, auth, tokens.access_token);
    assert.deepEqual({ active, scope, client_id }, { active: true, scope: 'read write', client_id: id });
    await revoke(client, auth, tokens.access_token);
    assert.deepEqual(await introspect(client, auth, tokens.access_token), { active: false });
  });
}

test('resource indicators', async () => {
  const [client, auth] = clients[0];
  const tokens = await signIn(alice, client, auth, { resource: otherAPI, scope: 'openid read write' });
  assert.equal((await callAPI(tokens.access_token, otherAPI)).scope, 'openid read write');
  const narrow = await refresh(client, auth, tokens.refresh_token, { resource: otherAPI, scope: 'read' });
  assert.equal((await callAPI(narrow.access_token, otherAPI)).scope, 'read');
  await assert.rejects(refresh(client, auth, narrow.refresh_token, { resource: api }), { error: 'invalid_target' });
  await assert.rejects(signIn(alice, client, auth, { resource: 'https://unknown.example' }), { error: 'invalid_target' });
});

test('errors', async () => {
  const [client, auth] = clients[0];
  const page = await newPage();
  await assert.rejects(signIn(page, client, auth, { prompt: 'none' }), { code: 'OAUTH_AUTHORIZATION_RESPONSE_ERROR', error: 'login_required' });
  await assert.rejects(clientCredentials(client, oauth.ClientSecretBasic('guess'), {}), (err) => {
    assert.equal(err.status, 401);
    assert.equal(err.cause[0].scheme, 'basic');
    return true;
  });
  await assert.rejects(clientCredentials({ client_id: 'post' }, oauth.ClientSecretPost('guess'), {}), { status: 401, error: 'invalid_client' });
});

test('dynamic registration and logout', async () => {
  const metadata = {
    redirect_uris: [callback],
    post_logout_redirect_uris: [home],
    application_type: 'native',
    id_token_signed_response_alg: 'ES256',
  };
  const client = await oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(as, metadata, { initialAccessToken: settings.initialAccessToken }),
  );
  assert.equal(client.token_endpoint_auth_method, 'client_secret_basic');
  const tokens = await signIn(alice, client, oauth.ClientSecretBasic(client.client_secret));
  assert.equal(tokens.refresh_token, undefined, 'it has not registered for that');

  const address = new URL(as.end_session_endpoint);
  address.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: home, state: 'bye' });
  await alice.goto(address.href);
  assert.equal(alice.url(), home + '?state=bye');
});
