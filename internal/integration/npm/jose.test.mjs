import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import * as oidc from 'openid-client';
import { authorize, newPage, settings } from './person.mjs';

const { issuer, api, otherAPI, callback, secret } = settings;

const alice = await newPage();

// signIn obtains tokens.
async function signIn(id, auth, nonce) {
  const config = await oidc.discovery(new URL(issuer), id, { id_token_signed_response_alg: id === 'post' ? 'ES256' : 'RS256' }, auth);
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const address = oidc.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope: 'openid read',
    nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  });
  const answer = await authorize(alice, address);
  const tokens = await oidc.authorizationCodeGrant(config, answer, { pkceCodeVerifier, expectedNonce: nonce });
  return { keys: createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri)), tokens };
}

for (const [id, auth, alg] of [
  ['basic', oidc.ClientSecretBasic(secret), 'RS256'],
  ['post', oidc.ClientSecretPost(secret), 'ES256'],
]) {
  test(`an ID token by ${alg}`, async () => {
    const { keys, tokens } = await signIn(id, auth, 'the nonce');
    const expected = { issuer, audience: id, algorithms: [alg], requiredClaims: ['exp', 'iat', 'auth_time', 'at_hash', 'sub'] };
    const { payload, protectedHeader } = await jwtVerify(tokens.id_token, keys, expected);
    assert.ok(protectedHeader.kid);
    assert.equal(payload.nonce, 'the nonce');
    assert.equal(payload.sub, 'u1');
    // OpenID Connect Core, section 3.1.3.6: the left half of a hash of the access token.
    const hash = createHash('sha256').update(tokens.access_token).digest().subarray(0, 16);
    assert.equal(payload.at_hash, hash.toString('base64url'));
    // RFC 9068, section 4: an ID token is no access token, nor the other way round.
    await assert.rejects(jwtVerify(tokens.id_token, keys, { ...expected, typ: 'at+jwt' }), errors.JWTClaimValidationFailed);
    await assert.rejects(jwtVerify(tokens.id_token, keys, { ...expected, audience: api }), errors.JWTClaimValidationFailed);
  });
}

test('an access token', async () => {
  const { keys, tokens } = await signIn('basic', oidc.ClientSecretBasic(secret), 'n');
  assert.equal(decodeProtectedHeader(tokens.access_token).typ, 'at+jwt');
  const expected = { issuer, audience: api, typ: 'at+jwt', algorithms: ['ES256'], requiredClaims: ['exp', 'iat', 'sub', 'client_id', 'jti'] };
  const { payload } = await jwtVerify(tokens.access_token, keys, expected);
  assert.equal(payload.client_id, 'basic');
  assert.equal(payload.scope, 'openid read');
  assert.equal(payload.email, 'alice@example.com');
  await assert.rejects(jwtVerify(tokens.access_token, keys, { ...expected, audience: otherAPI }), errors.JWTClaimValidationFailed);
  await assert.rejects(jwtVerify(tokens.access_token, keys, { ...expected, issuer: issuer + '/' }), errors.JWTClaimValidationFailed);
  const later = new Date(Date.now() + 3_600_000);
  await assert.rejects(jwtVerify(tokens.access_token, keys, { ...expected, currentDate: later }), errors.JWTExpired);
  const [head, body, signature] = tokens.access_token.split('.');
  const forged = Buffer.from(JSON.stringify({ ...payload, sub: 'u2' })).toString('base64url');
  await assert.rejects(jwtVerify([head, forged, signature].join('.'), keys, expected), errors.JWSSignatureVerificationFailed);
  await jwtVerify([head, body, signature].join('.'), keys, expected);
});
