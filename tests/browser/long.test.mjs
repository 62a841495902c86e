// A conversation of ten thousand messages: it opens with one page of them, and scrolling back stays smooth and in its place.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { meet } from './chromium.mjs';
import { product } from './harness.mjs';

const MESSAGES = 10_000;
/** Milliseconds that nothing on the page may take in one go; a slow machine that does other things besides is meant. */
const LONGEST_TASK = 1_500;
/** So far back is far: a hundred pages would say no more than these. */
const FAR = 2_500;

/**
 * Writes messages straight into the file: as many by sending them would take an hour. The triggers of the search index call a
 * function of the server's, so they rest meanwhile.
 */
const WRITE = `
import sqlite3, sys
path, conversation, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
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
    ident = '01900000-0000-7000-8000-%012x' % seq
    before = '01900000-0000-7000-8000-%012x' % (seq - 1)
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
  const conversation = await meet(page);
  // Its last message is odd, so that every question has its reply.
  const count = MESSAGES + 1;
  await promisify(execFile)('python3', ['-c', WRITE, join(aim.data, 'aim.db'), conversation, String(count)]);
  const pages = [];
  page.on('request', (request) => {
    if (new URL(request.url()).pathname.endsWith('/messages')) pages.push(request.url());
  });
  await page.goto(`/c/${conversation}`);
  await page.locator(`[data-seq="${count}"]`).waitFor();
  await page.waitForLoadState('networkidle');
  assert.equal(pages.length, 1, `one page of messages: ${pages.join(' ')}`);

  await page.evaluate(() => {
    window.longest = 0;
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
  while ((await first()) > count - FAR && Date.now() < until) {
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
  const { longest, rows } = await page.evaluate(() => ({ longest: window.longest, rows: document.querySelectorAll('[data-seq]').length }));
  console.log(`back to message ${reached} of ${count}: ${rows} rows, longest task ${Math.round(longest)} ms, moved by ${Math.round(moved)} px, looked at ${measured} times`);
  assert.ok(reached <= count - 1_500, `it goes back far: to ${reached}`);
  assert.equal(rows, count - reached + 1, 'without a gap');
  assert.ok(longest < LONGEST_TASK, `the longest task took ${longest} ms`);
  assert.ok(measured > 20, `it was looked at: ${measured} times`);
  assert.ok(moved < 40, `what one reads stays where it is: it moved by ${moved} px`);
});
