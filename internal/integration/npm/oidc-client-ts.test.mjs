import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newPage, press, settings, signIn } from './person.mjs';

const { issuer, spa } = settings;

// The application is on another site than the target; its page is spa/index.html.
const page = await newPage();
const application = () => page.waitForFunction(() => window.ready);
const user = () => page.evaluate(() => manager.getUser());

test('discovery and signinRedirect', async () => {
  assert.notEqual(new URL(spa).hostname, new URL(issuer).hostname);
  await page.goto(spa);
  await application();
  // The library compares the nonce; it does not keep it.
  await page.evaluate(() => void manager.signinRedirect({ nonce: 'the nonce', max_age: 300, state: 'where I was' }));
  await page.waitForSelector('#login');
  await signIn(page);
  await press(page, 'approve');
  await page.waitForURL(spa);
  await application();
  const { profile, token_type, scope } = await user();
  assert.equal(profile.sub, 'u1');
  assert.equal(profile.name, 'Alice', 'from the userinfo endpoint');
  assert.equal(token_type, 'Bearer');
  assert.equal(scope, 'openid profile email offline_access read');
  assert.equal(await page.evaluate(() => window.arrival.state), 'where I was');
});

test('silent renewal by refresh token', async () => {
  const before = await user();
  const after = await page.evaluate(() => manager.signinSilent());
  assert.notEqual(after.access_token, before.access_token);
  assert.notEqual(after.refresh_token, before.refresh_token);
  assert.equal(after.profile.sub, 'u1');
  assert.equal(page.frames().length, 1, 'no frame was needed');
});

// userInfo calls the userinfo endpoint from page, and returns the status, or an error if the
// browser does not let the script see the answer.
const userInfo = (page, token) =>
  page.evaluate(async ([issuer, token]) => {
    const metadata = await (await fetch(issuer + '/.well-known/openid-configuration')).json();
    await (await fetch(metadata.jwks_uri)).json();
    const answer = await fetch(metadata.userinfo_endpoint, { headers: { Authorization: `Bearer ${token}` } });
    return answer.status;
  }, [issuer, token]);

test('userinfo, for scripts of the client alone', async () => {
  const { access_token } = await user();
  assert.equal(await userInfo(page, access_token), 200);
  const other = await newPage();
  await other.goto(settings.home);
  await assert.rejects(userInfo(other, access_token), /Failed to fetch/);
});

test('revokeTokens', async () => {
  const { access_token, refresh_token } = await user();
  await page.evaluate(() => manager.revokeTokens(['access_token', 'refresh_token']));
  assert.equal(await userInfo(page, access_token), 401);
  // The application has forgotten its tokens; somebody else may not have.
  await page.evaluate(async (token) => {
    const user = await manager.getUser();
    user.refresh_token = token;
    await manager.storeUser(user);
  }, refresh_token);
  await assert.rejects(page.evaluate(() => manager.signinSilent()), /invalid_grant/);
});

test('signoutRedirect', async () => {
  await page.evaluate(() => void manager.signoutRedirect({ state: 'bye' }));
  await page.waitForFunction(() => window.farewell);
  assert.equal(await page.evaluate(() => window.farewell.userState), 'bye');
  assert.equal(page.url(), spa);
  assert.equal(await user(), null);
  // The session at the target is over, too.
  await page.evaluate(() => void manager.signinRedirect());
  await page.waitForSelector('#login');
});
