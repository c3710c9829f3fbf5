import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import axe from 'axe-core';
import { authorize, newPage, press, settings, signIn } from './person.mjs';

const { issuer, callback } = settings;

// address is that of an authorization request.
function address(parameters = {}) {
  const challenge = createHash('sha256').update('v'.repeat(43)).digest('base64url');
  return issuer + '/authorize?' + new URLSearchParams({
    response_type: 'code',
    client_id: 'public',
    redirect_uri: callback,
    scope: 'openid profile email offline_access read write',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    state: 's',
    ...parameters,
  });
}

// check finds what stands in the way of people on the page that is open, in either colour
// scheme and on a small screen.
async function check(page, heading) {
  assert.match(await page.textContent('h1'), heading);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axe.source);
    const { passes, violations, incomplete } = await page.evaluate(() =>
      axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
    assert.ok(passes.some((rule) => rule.id === 'color-contrast'));
    assert.deepEqual([...violations, ...incomplete].map(({ id, nodes }) => [id, nodes.map((n) => n.html)]), [], colorScheme);
  }
  // WCAG 2.2, 1.4.10: no scrolling in two directions at a width of 320 pixels.
  await page.setViewportSize({ width: 320, height: 480 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  await page.setViewportSize({ width: 1280, height: 720 });
}

test('the built-in pages are accessible', async () => {
  const page = await newPage();
  await page.goto(address({ redirect_uri: 'https://elsewhere.example/' }));
  await check(page, /cannot go on/);
  await page.goto(address());
  await signIn(page);
  await check(page, /^Allow The client public to use your account\?$/);
  await page.goto(issuer + '/logout');
  await check(page, /Sign out\?/);
  await press(page, 'logout');
  await check(page, /You are signed out/);
});

test('the consent page can be used by keyboard', async () => {
  const page = await newPage();
  await page.goto(address());
  await signIn(page);
  const reached = [];
  for (let i = 0; i < 10 && reached.at(-1) !== 'approve'; i++) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.value));
  }
  assert.deepEqual(reached, ['read', 'write', 'profile', 'email', 'offline_access', 'deny', 'approve']);
  await page.keyboard.press('Enter');
  await page.waitForURL(callback + '?**');
});

for (const mode of ['query', 'form_post']) {
  test(`login, consent and ${mode} without JavaScript`, async () => {
    const page = await newPage({ javaScriptEnabled: false });
    await page.goto(address({ response_mode: mode }));
    await signIn(page);
    await page.uncheck('[value=write]');
    const back = page.waitForRequest((r) => r.url().startsWith(callback));
    await press(page, 'approve');
    if (mode === 'form_post') await press(page, 'continue');
    const answer = await back;
    const parameters = new URLSearchParams(answer.postData() ?? new URL(answer.url()).search);
    assert.deepEqual([...parameters.keys()].sort(), ['code', 'iss', 'state']);
    assert.equal(answer.method(), mode === 'query' ? 'GET' : 'POST');
  });
}

test('Deny', async () => {
  const page = await newPage();
  await page.goto(address());
  await signIn(page);
  await press(page, 'deny');
  await page.waitForURL(callback + '?**');
  assert.equal(new URL(page.url()).searchParams.get('error'), 'access_denied');
});
