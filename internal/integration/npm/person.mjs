// A person with a browser: unmodified Chromium, driven through its debugging protocol.
import { readFile } from 'node:fs/promises';
import { after } from 'node:test';
import { chromium } from 'playwright-core';

// What the target and this machine are like; the Go test writes it.
export const settings = JSON.parse(await readFile(new URL('settings.json', import.meta.url)));

const browser = await chromium.launch({
  executablePath: settings.chromium,
  args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-component-update', '--disable-sync'],
});
after(() => browser.close());

// newPage opens a browser that remembers nothing. It takes the target's certificate, which
// nobody has signed, for good.
export async function newPage(options) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  context.setDefaultTimeout(10_000);
  return context.newPage();
}

// press presses the button of that id and waits for where it leads.
export async function press(page, id) {
  await Promise.all([page.waitForEvent('domcontentloaded'), page.click('#' + id)]);
}

// signIn fills in the login page.
export async function signIn(page) {
  await page.fill('[name=username]', settings.username);
  await page.fill('[name=password]', settings.password);
  await press(page, 'submit');
}

// authorize opens the address of an authorization request, signs in and approves if asked
// to, and returns the request with which the browser comes back to the client.
export async function authorize(page, address) {
  let answer;
  const notice = (r) => {
    if (r.isNavigationRequest() && r.url().startsWith(settings.callback)) answer = r;
  };
  page.on('request', notice);
  await page.goto(String(address), { waitUntil: 'domcontentloaded' });
  if (await page.locator('#login').count()) await signIn(page);
  if (await page.locator('#approve').count()) await press(page, 'approve');
  await page.waitForURL(settings.callback + '**', { waitUntil: 'commit' });
  page.off('request', notice);
  return new Request(answer.url(), {
    method: answer.method(),
    headers: { 'Content-Type': answer.headers()['content-type'] ?? '' },
    body: answer.postData() ?? undefined,
  });
}
