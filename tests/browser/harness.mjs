// What a file of tests begins with: one server and one browser for all of its tests, each of which has people and pages of
// its own. On failure a test says where its pages were and what the server said last.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Model } from '../contract/model.mjs';
import { requireProduct, startAim } from './aim.mjs';
import { launchChromium, logIn, openPage, register } from './chromium.mjs';

export const PHONE = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true };

/** Slow enough to be seen at work, and as quick as a test can wish. */
const AT_WORK = { chunks: 8, firstMs: 300, delayMs: 40 };
const NOBODY = { AIM_AI__PROVIDER: 'openai', AIM_AI__BASE_URL: 'http://127.0.0.1:9/v1', AIM_AI__MODEL: 'none' };

/**
 * `answers`: `stub` is a model in the test's own process, told by `model.plan` what to do; `built-in` the one of the
 * product; `nobody` for tests in which nothing has to be answered. `env` adds to the server's settings; it may be a
 * function, where they are known late.
 */
export function product({ answers = 'stub', env = {} } = {}) {
  /** The server, as of `startAim`, once the first test runs. */
  const aim = {};
  const model = new Model();
  model.plan = { ...model.plan, ...AT_WORK };
  let browser;

  before(async () => {
    requireProduct({ answers: answers === 'built-in' });
    let settings = answers === 'nobody' ? NOBODY : {};
    if (answers === 'stub') {
      await model.listen();
      settings = { AIM_AI__PROVIDER: 'openai', AIM_AI__BASE_URL: model.url, AIM_AI__MODEL: 'stub', AIM_AI__API_KEY: 'none' };
    }
    Object.assign(aim, await startAim({ ...settings, ...(typeof env === 'function' ? env() : env) }));
    browser = await launchChromium();
  });
  after(async () => {
    await browser?.close();
    await aim.stop?.();
    if (model.server) await model.stop();
  });

  /** A test that opens its pages with `open(settings)`, or as another device of somebody with `elsewhere(username, settings)`. */
  function visit(name, body) {
    test(name, { timeout: 240_000 }, async () => {
      const opened = [];
      const open = async (settings) => {
        const one = await openPage(browser, aim.url, settings);
        opened.push(one);
        return one;
      };
      const elsewhere = async (username, settings) => {
        const there = await open(settings);
        await logIn(there.page, username);
        return there;
      };
      try {
        await body({ open, elsewhere });
      } catch (error) {
        const places = opened.map(({ page }) => page.url()).join(' and ');
        error.message += `\nat ${places}; the server said last:\n${aim.log().slice(-1_500)}`;
        await Promise.allSettled(opened.map(({ close }) => close()));
        throw error;
      }
      // Each says whether its page had errors.
      for (const { close } of opened) await close();
    });
  }

  /** A test with a page of somebody new, who is signed in and looks at the characters. */
  function signedIn(name, body, settings) {
    visit(name, async ({ open, elsewhere }) => {
      const { page, context } = await open(settings);
      const username = await register(page);
      await body(page, { username, context, open, elsewhere });
    });
  }

  return { aim, model, visit, signedIn };
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function violations(page, options) {
  // Evaluated by the debugger: the page's own policy admits no script from elsewhere.
  await page.evaluate(axe);
  const found = await page.evaluate((rules) => window.axe.run(rules), options);
  return found.violations;
}

const told = ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`;

/** Nothing serious stands in the way of those who do not see the page, or do not use a pointer. */
export async function assertAccessible(page, place) {
  const serious = (await violations(page, {})).filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(serious.map(told), [], place);
}

/** Not one of the rules of WCAG 2.0, A and AA, that a program can tell is broken. */
export async function assertWcag(page, place) {
  assert.deepEqual((await violations(page, { runOnly: ['wcag2a', 'wcag2aa'] })).map(told), [], place);
}

export async function assertFits(page, place) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `${place} is ${over} pixels too wide`);
}

/** Puts a picture of the page where people look at them, if they name a folder. */
export async function pictured(page, name, options = {}) {
  const folder = process.env.AIM_SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, ...options });
}

/** A picture that the browser draws, as a file to choose: of one colour, with a square in another where one is named. */
export async function drawn(page, { name = 'picture.png', colour = 'teal', square, width = 300, height = 300 } = {}) {
  const bytes = await page.evaluate(async ({ colour, square, width, height }) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext('2d');
    context.fillStyle = colour;
    context.fillRect(0, 0, width, height);
    if (square) {
      context.fillStyle = square;
      context.fillRect(width / 4, height / 4, width / 3, height / 3);
    }
    const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, { colour, square, width, height });
  return { name, mimeType: 'image/png', buffer: Buffer.from(bytes) };
}
