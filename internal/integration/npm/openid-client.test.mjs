import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as oidc from 'openid-client';
import { authorize, newPage, settings } from './person.mjs';

const { issuer, api, otherAPI, callback, home, secret } = settings;
const server = new URL(issuer);
const key = await crypto.subtle.importKey('jwk', settings.key, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);

// Clients of the target, by their IDs.
const clients = {
  basic: [{}, oidc.ClientSecretBasic(secret)],
  post: [{ id_token_signed_response_alg: 'ES256' }, oidc.ClientSecretPost(secret)],
  jwt: [{}, oidc.PrivateKeyJwt(key)],
  public: [{}, oidc.None()],
};

// Without these, openid-client takes the word of TLS for an ID token.
const options = { execute: [oidc.enableNonRepudiationChecks] };

const discover = (id) => oidc.discovery(server, id, ...clients[id], options);

// One person, signed in from the first test on, for all that do not say otherwise.
const alice = await newPage();

// signIn takes a person through the code flow.
async function signIn(config, page, parameters = {}, more = []) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const expectedState = oidc.randomState();
  const expectedNonce = oidc.randomNonce();
  const address = oidc.buildAuthorizationUrl(config, new URLSearchParams([
    ...Object.entries({
      redirect_uri: callback,
      scope: 'openid profile email offline_access read',
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      state: expectedState,
      nonce: expectedNonce,
      max_age: '300',
      ...parameters,
    }),
    ...more,
  ]));
  const answer = await authorize(page, address);
  return oidc.authorizationCodeGrant(config, answer, { pkceCodeVerifier, expectedState, expectedNonce, maxAge: 300 });
}

for (const algorithm of ['oidc', 'oauth2']) {
  test(`discovery as ${algorithm}`, async () => {
    const config = await oidc.discovery(server, 'public', {}, oidc.None(), { algorithm });
    assert.equal(config.serverMetadata().issuer, issuer);
    assert.ok(config.serverMetadata().supportsPKCE('S256'));
    assert.ok(config.serverMetadata().userinfo_endpoint);
  });
}

for (const id of Object.keys(clients)) {
  test(`code, userinfo and refresh as ${id}`, async () => {
    const config = await discover(id);
    const first = await signIn(config, alice);
    const { sub, amr } = first.claims();
    assert.equal(sub, 'u1');
    assert.deepEqual(amr, ['pwd']);
    assert.ok(first.expiresIn() > 0);
    const user = await oidc.fetchUserInfo(config, first.access_token, sub);
    assert.equal(user.email, 'alice@example.com');
    assert.equal(user.name, 'Alice');

    const second = await oidc.refreshTokenGrant(config, first.refresh_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
    assert.equal(second.claims().auth_time, first.claims().auth_time);
    await oidc.fetchUserInfo(config, second.access_token, sub);

    await oidc.tokenRevocation(config, second.refresh_token, { token_type_hint: 'refresh_token' });
    await assert.rejects(oidc.refreshTokenGrant(config, second.refresh_token), { status: 400, error: 'invalid_grant' });
    await assert.rejects(oidc.fetchUserInfo(config, second.access_token, sub), { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE', status: 401 });
  });
}

for (const id of ['basic', 'post', 'jwt']) {
  test(`introspection as ${id}`, async () => {
    const config = await discover(id);
    const tokens = await signIn(config, alice);
    const access = await oidc.tokenIntrospection(config, tokens.access_token, { token_type_hint: 'access_token' });
    assert.equal(access.active, true);
    assert.equal(access.sub, 'u1');
    assert.equal(access.client_id, id);
    assert.deepEqual(access.aud, [api, issuer]);
    assert.equal((await oidc.tokenIntrospection(config, tokens.refresh_token)).active, true);

    await oidc.tokenRevocation(config, tokens.access_token);
    for (const token of [tokens.access_token, tokens.refresh_token, 'guess']) {
      assert.deepEqual(await oidc.tokenIntrospection(config, token), { active: false });
    }
  });

  test(`client credentials as ${id}`, async () => {
    const config = await discover(id);
    const tokens = await oidc.clientCredentialsGrant(config, { scope: 'read', resource: otherAPI });
    assert.equal(tokens.refresh_token, undefined);
    const { sub, aud, scope } = await oidc.tokenIntrospection(config, tokens.access_token);
    assert.deepEqual({ sub, aud: [aud].flat(), scope }, { sub: id, aud: [otherAPI], scope: 'read' });
  });
}

test('wrong credentials', async () => {
  const other = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
  for (const [id, auth] of [
    ['basic', oidc.ClientSecretBasic('guess')],
    ['post', oidc.ClientSecretPost('guess')],
    ['jwt', oidc.PrivateKeyJwt(other.privateKey)],
    ['basic', oidc.ClientSecretPost(secret)],
    ['basic', oidc.None()],
  ]) {
    const config = await oidc.discovery(server, id, {}, auth);
    await assert.rejects(oidc.clientCredentialsGrant(config, { scope: 'read' }), { status: 401 });
  }
});

test('form_post', async () => {
  const config = await discover('basic');
  const tokens = await signIn(config, alice, { response_mode: 'form_post' });
  assert.equal(tokens.claims().sub, 'u1');
});

test('prompt, max_age and id_token_hint', async () => {
  const config = await discover('basic');
  const page = await newPage();
  const login = { code: 'OAUTH_AUTHORIZATION_RESPONSE_ERROR', error: 'login_required' };
  await assert.rejects(signIn(config, page, { prompt: 'none' }), login);
  const first = await signIn(config, page, { prompt: 'login' });
  const silent = { prompt: 'none', id_token_hint: first.id_token };
  const second = await signIn(config, page, silent);
  assert.equal(second.claims().auth_time, first.claims().auth_time);
  await assert.rejects(signIn(config, page, { ...silent, max_age: '0' }), login);
  await assert.rejects(signIn(config, page, { prompt: 'none', claims: '{"id_token":{"sub":{"value":"u2"}}}' }), login);
  const third = await signIn(config, page, { max_age: '0' });
  assert.ok(third.claims().auth_time >= first.claims().auth_time);
  const consent = { code: 'OAUTH_AUTHORIZATION_RESPONSE_ERROR', error: 'consent_required' };
  await assert.rejects(signIn(config, page, { prompt: 'none', claims: '{"id_token":{"phone_number":null}}' }), consent);
  const fourth = await signIn(config, page, { claims: '{"id_token":{"phone_number":null}}' });
  assert.equal(fourth.claims().phone_number, '+1 555 0100');
});

test('resource indicators', async () => {
  const config = await discover('basic');
  const audience = async (tokens) => [(await oidc.tokenIntrospection(config, tokens.access_token)).aud].flat();

  const both = await signIn(config, alice, {}, [['resource', api], ['resource', otherAPI]]);
  assert.deepEqual(await audience(both), [api, otherAPI]);
  const one = await oidc.refreshTokenGrant(config, both.refresh_token, { resource: otherAPI, scope: 'read' });
  assert.deepEqual(await audience(one), [otherAPI]);
  await assert.rejects(oidc.fetchUserInfo(config, one.access_token, 'u1'), { status: 401 });
  const again = await oidc.refreshTokenGrant(config, one.refresh_token);
  assert.deepEqual(await audience(again), [api, otherAPI]);
  await assert.rejects(oidc.refreshTokenGrant(config, again.refresh_token, { resource: issuer }), { status: 400, error: 'invalid_target' });
  await assert.rejects(signIn(config, alice, { resource: 'https://unknown.example' }), { error: 'invalid_target' });
});

test('logout', async () => {
  const config = await discover('basic');
  const page = await newPage();
  const { id_token } = await signIn(config, page);
  await page.goto(oidc.buildEndSessionUrl(config, { id_token_hint: id_token, post_logout_redirect_uri: home, state: 's & t' }).href);
  assert.equal(page.url(), home + '?state=s%20%26%20t');
  await assert.rejects(signIn(config, page, { prompt: 'none' }), { error: 'login_required' });
});

const registration = {
  redirect_uris: [callback],
  post_logout_redirect_uris: [home],
  grant_types: ['authorization_code', 'refresh_token'],
  application_type: 'native',
};

for (const [method, auth, more] of [
  ['client_secret_basic', (c) => oidc.ClientSecretBasic(c), {}],
  ['client_secret_post', () => undefined, {}],
  ['private_key_jwt', () => oidc.PrivateKeyJwt(key), { jwks: { keys: [settings.publicKey] } }],
  ['none', () => oidc.None(), {}],
]) {
  test(`dynamic registration as ${method}`, async () => {
    const metadata = { ...registration, ...more, token_endpoint_auth_method: method };
    const config = await oidc.dynamicClientRegistration(server, metadata, auth(), { ...options, initialAccessToken: settings.initialAccessToken });
    assert.equal(config.clientMetadata().token_endpoint_auth_method, method);
    const tokens = await signIn(config, alice);
    assert.equal(tokens.claims().aud, config.clientMetadata().client_id);
    await oidc.refreshTokenGrant(config, tokens.refresh_token);
    await alice.goto(oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: home }).href);
    assert.equal(alice.url(), home);
  });
}

test('dynamic registration without the initial access token', async () => {
  await assert.rejects(oidc.dynamicClientRegistration(server, registration), { status: 401 });
});
