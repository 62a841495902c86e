// Four kinds of work for a fleet, each adding its own over some time and each knowing what has come of it: what servers
// measured, pictures and voice messages, mails, messages. `accepted()` names what must have its effect from now on, and
// `missing(accepted)` counts how much of that has none yet.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from '../contract/client.mjs';
import { png } from '../lib/pictures.mjs';

/** Tries again until the fleet takes it, or is no more: what breaks meanwhile is not this test's matter. */
async function untilTaken(fleet, call) {
  while (!fleet.isClosed) {
    const taken = await call().catch(() => undefined);
    if (taken) return taken;
    await sleep(200);
  }
  throw new Error('the fleet was closed meanwhile');
}

/** A day ahead: what is older than two weeks is cleaned away, and what is of an hour that is over has its report made anew. */
const firstMinute = Math.floor(Date.now() / 60_000) * 60_000 + 24 * 3_600_000;

const list = (ids) => ids.map((id) => `'${id}'`).join(',');
const rows = (text) => (text === '' ? [] : text.split('\n'));

/** One process's figures of one minute each: a row of its own, which counts once however often its job runs. */
export class Samples {
  #added = 0;

  constructor(fleet, queue, count) {
    Object.assign(this, { fleet, queue, count });
  }

  #job(n) {
    return {
      name: 'sample',
      data: {
        server: `server-${n % 90}`,
        at: new Date(firstMinute + Math.floor(n / 90) * 60_000).toISOString(),
        figures: { counts: { 'cache-asked': n + 1 }, times: {} },
      },
      opts: { jobId: `mixed-${n}`, attempts: 8, backoff: { type: 'exponential', delay: 500 }, removeOnComplete: { count: 1_000 }, removeOnFail: { count: 5_000 } },
    };
  }

  async add({ atOnce, everyMs }) {
    while (this.#added < this.count) {
      const many = Math.min(atOnce, this.count - this.#added);
      const jobs = Array.from({ length: many }, (_, i) => this.#job(this.#added + i));
      // What was added before the answer was lost is known by its id.
      await untilTaken(this.fleet, () => this.queue.addBulk(jobs));
      this.#added += many;
      await sleep(everyMs);
    }
  }

  accepted() {
    return this.#added;
  }

  async missing(accepted) {
    const [count] = await this.#found(accepted);
    return accepted - count;
  }

  /** That each has its own effect, and no other. */
  async check() {
    const [count, sum] = await this.#found(this.count);
    assert.equal(count, this.count, `${count} of ${this.count} samples are stored`);
    assert.equal(sum, (this.count * (this.count + 1)) / 2, 'each sample is stored as it was handed in');
  }

  async #found(most) {
    const figure = "(body::json->'counts'->>'cache-asked')::bigint";
    const found = await this.fleet.query(`SELECT count(*), coalesce(sum(${figure}), 0) FROM samples WHERE server LIKE 'server-%' AND ${figure} <= ${most}`);
    return found.split('|').map(Number);
  }
}

/** A tenth of a second of a tone: 8 kHz, 16 bits, one channel. */
function beep(n) {
  const samples = 800;
  const out = Buffer.alloc(44 + samples * 2);
  out.write('RIFF', 0);
  out.writeUInt32LE(36 + samples * 2, 4);
  out.write('WAVEfmt ', 8);
  for (const [at, value] of [[16, 16], [24, 8_000], [28, 16_000], [40, samples * 2]]) out.writeUInt32LE(value, at);
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) out.writeUInt16LE(value, at);
  out.write('data', 36);
  for (let i = 0; i < samples; i += 1) out.writeInt16LE(Math.round(Math.sin(i / (3 + (n % 7))) * 9_000), 44 + i * 2);
  return out;
}

/** Small pictures, and a voice message after every third. */
export class Uploads {
  #ids = [];

  constructor(fleet, person, count) {
    Object.assign(this, { fleet, person, count });
  }

  #isSound(n) {
    return n % 4 === 3;
  }

  async add({ everyMs }) {
    for (let n = 0; n < this.count; n += 1) {
      const bytes = this.#isSound(n) ? beep(n) : png(40 + (n % 20), 30);
      const { upload } = await untilTaken(this.fleet, () => this.#send(bytes));
      this.#ids.push(upload.id);
      await sleep(everyMs);
    }
  }

  async #send(bytes) {
    const form = new FormData();
    form.append('file', new Blob([bytes]));
    const answer = await this.#call('POST', '/api/uploads', form);
    return answer.status === 201 && answer.json();
  }

  #call(method, where, body) {
    return fetch(this.fleet.servers[0].url + where, { method, body, headers: { authorization: `Bearer ${this.person.token}` } });
  }

  accepted() {
    return [...this.#ids];
  }

  async missing(accepted) {
    if (accepted.length === 0) return 0;
    return accepted.length - Number(await this.fleet.query(`SELECT count(*) FROM uploads WHERE status = 'ready' AND id IN (${list(accepted)})`));
  }

  /** That each was made ready once, and that all that is shown of it is there. */
  async check() {
    const found = rows(await this.fleet.query('SELECT status, version, count(*) FROM uploads GROUP BY 1, 2'));
    // The first version is the row as it came; each change of it is one more.
    assert.deepEqual(found, [`ready|2|${this.count}`], `uploads by status, version and count: ${found.join(', ')}`);
    const waiting = [...this.#ids.entries()];
    const look = async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await this.#look(...next);
    };
    await Promise.all(Array.from({ length: 8 }, look));
  }

  async #look(n, id) {
    const { upload } = await (await this.#call('GET', `/api/uploads/${id}`)).json();
    const names = upload.variants.map(({ name }) => name);
    assert.deepEqual(names, this.#isSound(n) ? ['original'] : ['thumb', 'display', 'full'], JSON.stringify(upload));
    for (const { url, size } of upload.variants) {
      const { status, headers } = await this.#call('HEAD', url);
      assert.deepEqual([status, Number(headers.get('content-length'))], [200, size], url);
    }
  }
}

/** A welcome to everybody who registers, through the test's own mail server. */
export class Mails {
  #addresses = [];
  /** Mails that a worker was handing over when it was killed. */
  #cutOff = new Set();

  /** `slowMs`: how long the mail server thinks over each mail, so that some are always on their way. */
  constructor(fleet, post, count, { slowMs }) {
    Object.assign(this, { fleet, post, count });
    post.atEnd = () => sleep(slowMs);
  }

  async add({ everyMs }) {
    for (let n = 0; n < this.count; n += 1) {
      const email = `mixed-${n}@example.org`;
      const form = { email, username: `mixed_${n}`, password: 'correct horse' };
      await untilTaken(this.fleet, async () => {
        const { status } = await request(this.fleet.servers[0], 'POST', '/api/auth/register', form);
        // Known already: the answer to the try before was lost.
        return status === 201 || status === 409;
      });
      this.#addresses.push(email);
      await sleep(everyMs);
    }
  }

  /** To be called as soon as a worker was killed: notes what it leaves half done, before its lease is over. */
  async noteKill() {
    const sending = async () => rows(await this.fleet.query("SELECT id FROM mails WHERE state = 'sending'"));
    // What it had asked of the database may be done after its end.
    await sleep(500);
    const first = await sending();
    // Who lives is done with a mail by then.
    await sleep(3_000);
    const still = new Set(await sending());
    for (const id of first) if (still.has(id)) this.#cutOff.add(id);
  }

  accepted() {
    return [...this.#addresses];
  }

  async missing(accepted) {
    if (accepted.length === 0) return 0;
    return accepted.length - Number(await this.fleet.query(`SELECT count(*) FROM mails WHERE ended_at IS NOT NULL AND address IN (${list(accepted)})`));
  }

  /** That nobody has two, and everybody one, but for those whose sender was killed with the mail in its hands. Answers these. */
  async check() {
    const ends = rows(await this.fleet.query("SELECT id, address, state, coalesce(reason, '') FROM mails WHERE address LIKE 'mixed-%'")).map((row) => row.split('|'));
    assert.equal(ends.length, this.count, `${ends.length} mails for ${this.count} people`);
    const doubtful = [];
    for (const [id, address, state, reason] of ends) {
      const came = this.post.to(address).length;
      if (state === 'sent') {
        assert.equal(came, 1, `${address} has ${came} mails`);
        continue;
      }
      assert.match(reason, /^in doubt/, `${address}: ${state}, ${reason}`);
      assert.ok(this.#cutOff.has(id), `nobody was killed with the mail to ${address}`);
      assert.ok(came <= 1, `${address} has ${came} mails`);
      doubtful.push(id);
    }
    return doubtful;
  }
}

/** Messages and their replies, over `Traffic`. */
export class Messages {
  constructor(fleet, traffic, count) {
    Object.assign(this, { fleet, traffic, count });
  }

  async add({ atOnce, everyMs }) {
    for (let sent = 0; sent < this.count; sent += atOnce) {
      await this.traffic.burst(atOnce);
      await sleep(everyMs);
    }
  }

  accepted() {
    return this.traffic.acknowledged.map(({ id }) => id);
  }

  async missing(accepted) {
    if (accepted.length === 0) return 0;
    return accepted.length - Number(await this.fleet.query(`SELECT count(*) FROM messages WHERE reply_state = 'done' AND id IN (${list(accepted)})`));
  }
}
