// The whole way in a real browser: the page, the server, the built-in model. Named after what they promise.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { assertShownAsStored, bare, CHARACTER, meet, newName, PASSWORD, quiet, register, say, shown, stored } from './chromium.mjs';
import { assertAccessible, assertFits, PHONE, product } from './harness.mjs';

const { model, visit, signedIn } = product();

describe('a conversation with the built-in model', () => {
  const { signedIn } = product({ answers: 'built-in' });

  signedIn('streams a reply in, and a reload in the middle of the next one loses nothing', async (page) => {
    const conversation = await meet(page);
    await page.getByText('A small demo model answers here.').waitFor();
    const greeting = (await stored(page, conversation)).length;
    assert.equal(greeting, 1, 'the character greets');

    // Notes every length that the streaming text has, its Markdown marks apart: they go when their pair is here.
    await page.evaluate(() => {
      window.lengths = [];
      new MutationObserver(() => {
        const text = document.querySelector('[data-streaming]')?.textContent;
        const length = text?.replace(/[\s*_~`#>|\\-]/g, '').length;
        if (length !== undefined && length !== window.lengths.at(-1)) window.lengths.push(length);
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await say(page, 'Are you afraid of the storm?');
    await page.locator('[data-streaming]').waitFor({ timeout: 120_000 });
    await quiet(page, 2);
    const lengths = await page.evaluate(() => window.lengths);
    assert.ok(lengths.length >= 3, `the text grew in steps: ${lengths}`);
    assert.deepEqual(lengths, lengths.toSorted((a, b) => a - b), 'the text only grew');
    await assertShownAsStored(page, conversation);

    await say(page, 'Tell me about Button, your parrot.');
    await page.waitForFunction(() => document.querySelector('[data-streaming]')?.textContent.length > 8, null, {
      timeout: 120_000,
    });
    assert.equal((await stored(page, conversation)).length, 4, 'the reply is still under way');
    await page.reload();
    await quiet(page, 3);
    const kept = await assertShownAsStored(page, conversation);
    const question = kept.find(({ text }) => text.startsWith('Tell me about Button'));
    assert.equal(kept.filter(({ inReplyTo }) => inReplyTo === question.id).length, 1, 'answered once');
    assert.deepEqual(
      kept.map(({ seq }) => seq),
      [1, 2, 3, 4, 5],
    );

    await page.getByRole('button', { name: 'Connect a better one' }).click();
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await assertAccessible(page, `dialog, ${colorScheme}`);
    }
  });

  signedIn('stops a reply by Escape and keeps what was said so far', async (page) => {
    const conversation = await meet(page);
    await say(page, 'Tell me everything about your ship, from bow to stern.');
    await page.locator('[data-streaming]').waitFor({ timeout: 120_000 });
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => document.querySelector('.bubble--streaming, .bubble--typing') === null);
    await page.getByRole('button', { name: 'Stop the reply' }).waitFor({ state: 'detached' });
    const kept = await assertShownAsStored(page, conversation);
    const question = kept.find(({ role }) => role === 'user');
    const reply = kept.find(({ inReplyTo }) => inReplyTo === question.id);
    if (reply === undefined) {
      assert.equal(question.replyState, 'cancelled');
      await page.getByRole('button', { name: 'Ask again' }).waitFor();
    } else {
      assert.notEqual(reply.text, '');
    }
    await page.reload();
    await page.locator('[data-message]').first().waitFor();
    await assertShownAsStored(page, conversation);
  });
});

describe('a conversation', () => {
  signedIn('takes a message while a reply is under way, and answers both in order', async (page) => {
    const conversation = await meet(page, 'Idris Quill');
    model.plan = { ...model.plan, steps: true };
    await say(page, 'Who are you?');
    await page.locator('.bubble--typing, .bubble--streaming').waitFor({ timeout: 60_000 });
    await say(page, 'And what do you do?');
    await page.getByText('Waiting for its turn').waitFor();
    model.release();
    await quiet(page, 3);
    const kept = await assertShownAsStored(page, conversation);
    const [first, second] = kept.filter(({ role }) => role === 'user');
    const replies = kept.filter(({ role, inReplyTo }) => role === 'character' && inReplyTo);
    assert.deepEqual(
      replies.map(({ inReplyTo }) => inReplyTo),
      [first.id, second.id],
    );
  });

  signedIn('tells a second person of one character that others come first', async (page, { open }) => {
    const other = await open();
    await register(other.page);
    await meet(page, 'Hild Emberlock');
    await meet(other.page, 'Hild Emberlock');
    model.plan = { ...model.plan, steps: true };
    await say(page, 'Tell me about the dragon valley.');
    await page.locator('.bubble--typing, .bubble--streaming').waitFor();
    await say(other.page, 'Can you mend my sword?');
    await other.page.getByText(/repl(?:y|ies) before yours|answers you next/).waitFor();
    model.release();
    await quiet(page, 2);
    await quiet(other.page, 2);
  });

  signedIn('sends what was written offline once it is back, exactly once', async (page, { context }) => {
    const conversation = await meet(page, 'Folio');
    await page.getByRole('textbox', { name: /^Message to/ }).waitFor();
    await context.setOffline(true);
    await page.getByText('You are offline.').waitFor();
    await say(page, 'Have you read this one?');
    await page.getByText('Waiting for the connection').waitFor();
    await context.setOffline(false);
    await quiet(page, 2);
    const kept = await assertShownAsStored(page, conversation);
    assert.equal(kept.filter(({ text }) => text === 'Have you read this one?').length, 1);
  });

  signedIn('keeps a draft over a reload', async (page) => {
    await meet(page, 'Folio');
    const box = page.getByRole('textbox', { name: /^Message to/ });
    await box.fill('half a thou');
    await page.reload();
    await box.waitFor();
    assert.equal(await box.inputValue(), 'half a thou');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('ght');
    assert.equal(await box.inputValue(), 'half a thou\nght');
    assert.deepEqual(
      (await shown(page)).map(({ role }) => role),
      ['character'],
      'Shift and Enter send nothing',
    );
  });
});

describe('an account', () => {
  signedIn('logs out, is let in nowhere, and comes back to where it wanted to go', async (page, { username }) => {
    const conversation = await meet(page);
    await page.getByRole('link', { name: 'Settings' }).first().click();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.waitForURL('**/login**');
    assert.equal((await page.request.get('/api/auth/me')).status(), 401);
    await page.goto(`/c/${conversation}`);
    await page.waitForURL('**/login?next=**');
    await page.getByLabel('Email or username').fill(username);
    await page.getByLabel('Password').fill('not the password');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.waitForURL(`**/c/${conversation}`);
    await page.locator('[data-message]').first().waitFor();
  });

  signedIn('signs another device out, and that one knows at once', async (page, { username, elsewhere }) => {
    const other = await elsewhere(username, { userAgent: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' });
    await page.goto('/settings');
    await page.getByRole('button', { name: 'Sign out Firefox on Linux' }).click();
    await page.getByRole('button', { name: 'Sign out Firefox on Linux' }).waitFor({ state: 'detached' });
    await other.page.getByText('You were signed out.').waitFor({ timeout: 5_000 });
  });

  signedIn('changes its name and writes, edits and deletes a character', async (page) => {
    await page.goto('/settings');
    await page.getByLabel('Display name').fill('Robin Hale');
    await page.getByRole('button', { name: 'Save name' }).click();
    await page.getByText('Saved').waitFor();
    await page.goto('/characters/new');
    await page.getByLabel('Name', { exact: true }).fill('Tilda Crane');
    await page.getByLabel('Tags').fill('sea, Lighthouse');
    await page.getByRole('button', { name: '3. Greetings and examples' }).click();
    await page.getByLabel('Greeting', { exact: true }).fill('Mind the lamp, {{user}}.');
    await page.getByRole('button', { name: '6. Review' }).click();
    await page.getByRole('button', { name: 'Create character' }).click();
    await page.getByRole('heading', { name: 'Tilda Crane' }).waitFor();
    await page.getByText('Mind the lamp, Robin Hale.').waitFor();
    await page.getByRole('link', { name: 'Edit' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Tilda of the Lamp');
    await page.getByRole('button', { name: 'Save changes' }).click();
    await page.getByRole('heading', { name: 'Tilda of the Lamp' }).waitFor();
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Delete for good' }).click();
    await page.waitForURL('**/characters');
    await page.getByRole('link', { name: CHARACTER }).waitFor();
    assert.equal(await page.getByText('Tilda of the Lamp').count(), 0);
  });
});

describe('everybody', () => {
  visit('goes the whole way with the keyboard alone', async ({ open }) => {
    const { page } = await open();
    await page.goto('/register');
    const reach = async (name) => {
      for (let presses = 0; presses < 60; presses += 1) {
        await page.keyboard.press('Tab');
        const focused = await page.evaluate(() => {
          const element = document.activeElement;
          const label = element.labels?.[0]?.textContent ?? element.getAttribute('aria-label') ?? element.textContent;
          const style = getComputedStyle(element);
          const ringed = element.closest('.card, .composer__box, .segments__one') !== null;
          return { label: label.trim(), visible: ringed || style.outlineStyle !== 'none' || style.boxShadow !== 'none' };
        });
        if (focused.label.startsWith(name)) {
          assert.ok(focused.visible, `the focus on ${name} can be seen`);
          return;
        }
      }
      assert.fail(`Tab never reached ${name}`);
    };
    const username = newName();
    await reach('Username');
    await page.keyboard.type(username);
    await reach('Email');
    await page.keyboard.type(`${username}@example.test`);
    await reach('Password');
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Enter');
    await page.waitForURL('**/characters');
    await page.getByRole('link', { name: CHARACTER }).waitFor();
    await reach(CHARACTER);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: `Talk with ${CHARACTER}` }).waitFor();
    await reach('Talk with');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/c/*');
    await page.locator('.composer__text:focus').waitFor();
    await page.keyboard.type('Hello there.');
    await page.keyboard.press('Enter');
    await page.locator('[data-message][data-role="user"]').waitFor();
    await quiet(page, 2);
  });

  for (const colorScheme of ['light', 'dark']) {
    visit(`finds no serious fault for assistive technology (${colorScheme})`, async ({ open }) => {
      const { page } = await open({ colorScheme });
      await page.goto('/login');
      await page.getByLabel('Password').waitFor();
      await assertAccessible(page, 'login');
      await page.goto('/register');
      await page.getByLabel('Password').waitFor();
      await assertAccessible(page, 'register');
      await register(page);
      await page.getByRole('link', { name: CHARACTER }).waitFor();
      await assertAccessible(page, 'characters');
      await meet(page);
      await say(page, 'Is it far? *I look down.*');
      await quiet(page, 2);
      await assertAccessible(page, 'chat');
      for (const path of ['/', '/settings', '/characters/new', '/characters/mara-vale', '/nowhere']) {
        await page.goto(path);
        await page.getByRole('heading', { level: 1 }).waitFor();
        await page.waitForFunction(() => document.querySelector('.loading, .skeleton') === null);
        await assertAccessible(page, path);
      }
    });
  }

  for (const width of [320, 390]) {
    signedIn(
      `fits a phone of ${width} pixels without a scroll sideways`,
      async (page) => {
        const fits = async (place) => {
          await assertFits(page, place);
          const tall = await page.evaluate(() => document.querySelector('h1')?.getBoundingClientRect().height ?? 0);
          assert.ok(tall < 100, `the heading of ${place} is broken into lines of ${tall} pixels`);
        };
        await page.getByRole('link', { name: CHARACTER }).waitFor();
        await fits('characters');
        await meet(page);
        await say(page, `A long word: ${'wind'.repeat(60)} and \`${'code'.repeat(60)}\``);
        await quiet(page, 2);
        await fits('chat');
        for (const path of ['/', '/settings', '/characters/new', '/characters/mara-vale']) {
          await page.goto(path);
          await page.getByRole('heading', { level: 1 }).waitFor();
          await page.waitForFunction(() => document.querySelector('.loading, .skeleton') === null);
          await fits(path);
          const small = await page
            .locator('.button:visible, .icon-button:visible, .tabbar__link:visible, .input:visible')
            .evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().height < 44).map((one) => one.outerHTML));
          assert.deepEqual(small, [], `${path} has targets too small for a finger`);
        }
      },
      { ...PHONE, viewport: { width, height: 760 } },
    );
  }
});

describe('a long conversation', () => {
  // Answers nothing, and allows four times the usual: what is tested is the page.
  const silent = product({ answers: 'nobody', env: { AIM_WORKERS__ENABLED: 'false', AIM_USAGE__MULTIPLIER: '4' } });

  silent.signedIn('is read page by page without losing the place, until the limit of the day is told', async (page) => {
    const conversation = await meet(page);
    for (let n = 1; n < 120; n += 1) {
      const data = { type: 'text', clientId: `history-${n}`, text: `Line ${n} of a long evening.` };
      const answer = await page.request.post(`/api/conversations/${conversation}/messages`, {
        data,
        headers: { origin: silent.aim.url },
      });
      assert.equal(answer.status(), 202, await answer.text());
    }
    await page.reload();
    await page.locator('.log').getByText('Line 119 of a long evening.').waitFor();
    assert.equal(await page.getByText('Line 2 of a long evening.').count(), 0, 'only the newest page is read');

    const place = () =>
      page.evaluate(() => {
        const { top, height } = document.querySelector('.transcript__scroll').getBoundingClientRect();
        const rows = [...document.querySelectorAll('[data-message]')];
        // What is read stands in the middle; the first row of a page may close up to the one that comes before it.
        const read = rows.find((row) => row.getBoundingClientRect().bottom >= top + height / 2);
        const at = read.querySelector('.bubble').getBoundingClientRect().top;
        return { id: read.dataset.message, at, rows: rows.length };
      });
    // Held back for a moment, so that the place before it comes can be measured.
    await page.route(/\/messages\?before=/, async (route) => {
      await new Promise((wake) => setTimeout(wake, 500));
      await route.continue();
    });
    // Rows that come into sight get their height with the next frame.
    await page.locator('.transcript__scroll').evaluate(async (box) => {
      box.scrollTop = 60;
      for (let frame = 0; frame < 3; frame += 1) await new Promise((next) => requestAnimationFrame(next));
    });
    const before = await place();
    await page.waitForFunction((rows) => document.querySelectorAll('[data-message]').length > rows, before.rows);
    const bubble = page.locator(`[data-message="${before.id}"] .bubble`);
    const moved = await bubble.evaluate((box) => box.getBoundingClientRect().top);
    assert.ok(Math.abs(moved - before.at) <= 2, `what is read stays in its place: ${before.at}, then ${moved}`);

    await page.getByRole('button', { name: 'Latest' }).click();
    await page.getByText('1 of 120 left').waitFor();
    await say(page, 'The last one of today.');
    await page.getByText('You have sent Captain Mara Vale all 120 messages of today.').waitFor();
    const box = page.getByRole('textbox', { name: /^Message to/ });
    await box.fill('One more?');
    assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
    assert.equal(bare((await shown(page)).at(-1).text), bare('The last one of today.'));
  });
});
