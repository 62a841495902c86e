// A conversation of ten thousand messages: it opens with one page of them, and scrolling back stays smooth and in its place.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { meet } from './chromium.mjs';
import { PHONE, pictured, product } from './harness.mjs';

const MESSAGES = 10_000;
/** Milliseconds that nothing on the page may take in one go; a slow machine that does other things besides is meant. */
const LONGEST_TASK = 1_500;
/** So far back is far: a hundred pages would say no more than these. */
const FAR = 2_500;
/** Messages and elements of the page that stand in it at a time, however far one goes. */
const MOST_ROWS = 240;
const MOST_NODES = 12_000;

/**
 * Writes messages straight into the file: as many by sending them would take an hour. The triggers of the search index call a
 * function of the server's, so they rest meanwhile.
 */
const WRITE = `
import sqlite3, sys
path, conversation, count, run = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
db = sqlite3.connect(path, isolation_level=None, timeout=30)
db.execute('BEGIN IMMEDIATE')
triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'messages'").fetchall()
for name, _ in triggers:
    db.execute(f'DROP TRIGGER {name}')
key, owner, character, last, at = db.execute(
    'SELECT key, owner, character, last_seq, created_at FROM all_conversations WHERE id = ?', (conversation,)).fetchone()
for seq in range(last + 1, count + 1):
    asks = (seq - last) % 2 == 1
    said = 'message %d. ' % seq + 'The sea is wide, and the lamp is lit. ' * (1 + seq * 7 % 9)
    ident = '01900000-%04x-7000-8000-%012x' % (run, seq)
    before = '01900000-%04x-7000-8000-%012x' % (run, seq - 1)
    db.execute('INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, in_reply_to, client_id, created_at, reply_state)'
        " VALUES (?, ?, ?, ?, ?, ?, 'text', ?, ?, ?, ?, ?)",
        (key, seq, seq if asks else seq - 1, ident, 'user' if asks else 'character', owner if asks else character, said,
         None if asks else before, 'k%d' % seq if asks else None, at + seq * 60000, 'done' if asks else None))
db.execute('UPDATE all_conversations SET last_seq = ? WHERE key = ?', (count, key))
db.execute('UPDATE members SET read_seq = ? WHERE conversation = ?', (count, key))
for _, sql in triggers:
    db.execute(sql)
db.execute('COMMIT')
`;

const { aim, signedIn } = product({ answers: 'nobody' });

signedIn('ten thousand messages open with one page, and are scrolled back through smoothly', async (page) => {
  await scrolled(page, FAR);
});

signedIn('so they are on a phone', async (page) => {
  await scrolled(page, FAR / 5);
}, { ...PHONE, hasTouch: false, isMobile: false });

signedIn('a link to a message leads there while a page of earlier ones is under way', async (page) => {
  const conversation = await meet(page);
  await fill(conversation, 401, 1);
  await page.goto(`/c/${conversation}`);
  await page.locator('[data-seq="401"]').waitFor();
  let release = () => {};
  const late = new Promise((done) => (release = done));
  await page.route('**/messages?*before=352*', async (route) => {
    await late;
    await route.continue();
  });
  const asked = page.waitForRequest('**/messages?*before=352*');
  await page.locator('.transcript__scroll').evaluate((box) => (box.scrollTop = 0));
  await asked;
  await page.evaluate(() => history.pushState(null, '', '?at=40'));
  // As long as it would take to give up.
  await page.waitForTimeout(300);
  release();
  const isInView = async (seq) => {
    const found = page.locator(`[data-seq="${seq}"].said--found`);
    await found.waitFor();
    await page.waitForTimeout(300);
    const { y } = await found.boundingBox();
    assert.ok(y > 0 && y < 800, `${seq} is in view: ${y}`);
  };
  await isInView(40);

  // One that is here is shown at once, and stays in view when a page comes in above it.
  let releaseLast = () => {};
  const last = new Promise((done) => (releaseLast = done));
  await page.route('**/messages?*before=2&*', async (route) => {
    await last;
    await route.continue();
  });
  const askedLast = page.waitForRequest('**/messages?*before=2&*');
  await page.locator('.transcript__scroll').evaluate((box) => (box.scrollTop = 0));
  await askedLast;
  await page.evaluate(() => history.pushState(null, '', '?at=30'));
  await isInView(30);
  releaseLast();
  await page.locator('[data-seq="1"]').waitFor();
  await isInView(30);
  const seqs = await page.locator('[data-seq]').evaluateAll((rows) => rows.map((row) => Number(row.dataset.seq)));
  assert.deepEqual(seqs, seqs.map((_, n) => seqs[0] + n), 'without a gap');
});

for (const [where, settings] of [['desk', {}], ['phone', PHONE]]) {
  signedIn(`what one types into an editor is there when its row comes back, on a ${where}`, async (page) => {
    const conversation = await meet(page);
    await fill(conversation, 401, where.length);
    await page.goto(`/c/${conversation}`);
    const editor = page.getByRole('textbox', { name: 'The reply' });
    await page.getByRole('button', { name: 'Edit the reply' }).click();
    await page.waitForFunction(() => document.activeElement?.getAttribute('aria-label') === 'The reply');
    await editor.fill('The lamp is out, and nobody knows.');
    await page.evaluate(() => history.pushState(null, '', '?at=40'));
    await page.locator('.said--found').waitFor();
    assert.equal(await page.locator('[data-seq="401"]').count(), 0, 'its row is out of the page');
    await page.getByRole('button', { name: 'Latest' }).click();
    await editor.waitFor();
    assert.equal(await editor.inputValue(), 'The lamp is out, and nobody knows.');
    assert.notEqual(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'The reply', 'it takes no focus');
    await pictured(page, `editor-kept-${where}`);

    // Another page, and back; a reload.
    await page.goto('/characters');
    await page.goto(`/c/${conversation}`);
    await editor.waitFor();
    assert.equal(await editor.inputValue(), 'The lamp is out, and nobody knows.');
    await editor.press('Escape');
    await page.locator('[data-seq="401"]').getByText('message 401.').waitFor();
    await page.reload();
    await page.locator('[data-seq="401"]').getByText('message 401.').waitFor();
    assert.equal(await editor.count(), 0, 'what was given up is gone');
  }, settings);
}

/** Has so many messages in the conversation; `run` is another number for each. */
async function fill(conversation, count, run) {
  await promisify(execFile)('python3', ['-c', WRITE, join(aim.data, 'aim.db'), conversation, String(count), String(run)]);
}

async function scrolled(page, far) {
  const conversation = await meet(page);
  // Its last message is odd, so that every question has its reply.
  const count = MESSAGES + 1;
  await fill(conversation, count, far);
  const pages = [];
  page.on('request', (request) => {
    if (new URL(request.url()).pathname.endsWith('/messages')) pages.push(request.url());
  });
  await page.goto(`/c/${conversation}`);
  await page.locator(`[data-seq="${count}"]`).waitFor();
  await page.waitForLoadState('networkidle');
  assert.equal(pages.length, 1, `one page of messages: ${pages.join(' ')}`);

  await page.evaluate(() => {
    Object.assign(window, { longest: 0, frames: [], most: [0, 0] });
    let last = performance.now();
    const frame = (now) => {
      window.frames.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
    }).observe({ type: 'longtask' });
  });
  // Back by the wheel, as a person does; a slow machine may not come all the way in the time there is.
  const box = page.getByRole('region', { name: 'Messages' });
  const first = () => page.locator('[data-seq]').first().getAttribute('data-seq').then(Number);
  await box.hover();
  const until = Date.now() + 120_000;
  let [moved, measured] = [0, 0];
  while ((await first()) > count - far && Date.now() < until) {
    await page.mouse.wheel(0, -2_400);
    // What stands in the middle of the screen, before and after older pages came in above it.
    const jump = await box.evaluate(async (area) => {
      const rect = area.getBoundingClientRect();
      const at = () => document.elementFromPoint(rect.left + rect.width / 2, rect.top + rect.height / 2)?.closest('[data-seq]');
      const frame = () => new Promise((done) => requestAnimationFrame(done));
      // The wheel has come to rest when nothing moves for some frames.
      for (let still = 0, last = -1; still < 3; still = area.scrollTop === last ? still + 1 : 0, last = area.scrollTop) await frame();
      const row = at();
      if (!row) return undefined;
      const [was, height] = [row.getBoundingClientRect().top, area.scrollHeight];
      for (let n = 0; n < 20 && area.scrollHeight === height; n += 1) await frame();
      await frame();
      return row.isConnected ? Math.abs(row.getBoundingClientRect().top - was) : Infinity;
    });
    // Between two rows stands none.
    if (jump === undefined) continue;
    moved = Math.max(moved, jump);
    measured += 1;
  }
  const reached = await first();
  const found = await page.evaluate(() => {
    const seqs = [...document.querySelectorAll('[data-seq]')].map((row) => Number(row.dataset.seq));
    const frames = window.frames.sort((a, b) => a - b);
    const at = (part) => Math.round(frames[Math.floor((frames.length - 1) * part)]);
    return { longest: window.longest, seqs, nodes: document.querySelectorAll('*').length, median: at(0.5), slow: at(0.99), frames: frames.length };
  });
  const { longest, seqs, nodes } = found;
  console.log(
    `back to message ${reached} of ${count}: ${seqs.length} rows, ${nodes} elements, longest task ${Math.round(longest)} ms, ${found.frames} frames of ${found.median} ms in the median and ${found.slow} at the 99th percentile, moved by ${Math.round(moved)} px, looked at ${measured} times`,
  );
  assert.ok(reached <= count - 0.6 * far, `it goes back far: to ${reached}`);
  const withoutGap = seqs.map((_, n) => seqs[0] + n);
  assert.deepEqual(seqs, withoutGap, 'without a gap');
  assert.ok(seqs.length <= MOST_ROWS, `rows that are far away stand in the page no more: ${seqs.length}`);
  assert.ok(nodes < MOST_NODES, `${nodes} elements`);
  assert.ok(longest < LONGEST_TASK, `the longest task took ${longest} ms`);
  assert.ok(measured > Math.min(20, far / 100), `it was looked at: ${measured} times`);
  assert.ok(moved < 40, `what one reads stays where it is: it moved by ${moved} px`);

  // Down again some way, past rows that were taken out, and then to the newest at once.
  const last = () => page.locator('[data-seq]').last().getAttribute('data-seq').then(Number);
  const below = await last();
  assert.ok(below < count, `the newest is not there: ${below}`);
  while ((await last()) === below && Date.now() < until + 60_000) {
    await page.mouse.wheel(0, 2_400);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  }
  assert.ok((await last()) > below, 'later ones come in below');
  await page.getByRole('button', { name: 'Latest' }).click();
  await page.locator(`[data-seq="${count}"]`).waitFor();
  await page.waitForFunction(() => {
    const area = document.querySelector('.transcript__scroll');
    return area.scrollHeight - area.scrollTop - area.clientHeight < 2;
  });
  assert.equal(await page.getByRole('button', { name: 'Later messages' }).count(), 0);
}
