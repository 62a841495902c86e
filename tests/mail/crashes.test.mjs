// Who sends mails is killed in the middle of it: what was handed over is never sent again, what was not is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, request } from '../contract/client.mjs';
import { Fleet } from '../fleet/fleet.mjs';
import { PostOffice } from './post.mjs';

const people = 24;

/** One server on SQLite that does everything, or a server and two workers over PostgreSQL and Redis. */
const shapes = {
  'one server': { servers: 1, workers: 0, redis: false, store: 'sqlite' },
  'a fleet': { servers: 1, workers: 2, network: false, server: { AIM_WORKERS__ENABLED: 'false' } },
};

for (const [name, shape] of Object.entries(shapes)) {
  test(`killed while it sends, ${name} sends no mail twice and loses none that was not handed over`, async (t) => {
    const post = await PostOffice.start();
    t.after(() => post.close());
    const fleet = await Fleet.start({ ...shape, env: { ...post.env, AIM_MAIL__CONCURRENCY: '3' } });
    t.after(() => fleet.close());
    const mortal = fleet.workers.length > 0 ? fleet.workers : fleet.servers;
    // The first three are over there and wait for their answer, which comes too late; the next hang at the door.
    const held = [];
    let atDoor = false;
    let release = () => {};
    const killed = new Promise((done) => { release = done; });
    post.atEnd = (mail) => { held.push(mail); return killed; };
    post.atReceiver = () => (atDoor ? killed : undefined);
    const addresses = Array.from({ length: people }, (_, n) => `p${n}@example.org`);
    const register = async (n) => {
      const form = { email: addresses[n], username: `person_${n}`, password: 'correct horse' };
      const { status } = await request(fleet.servers[0], 'POST', '/api/auth/register', form);
      assert.equal(status, 201);
    };
    const slots = 3 * mortal.length;
    for (let n = 0; n < people; n += 1) await register(n);
    await eventually('every sender is in the middle of a mail', () => held.length >= slots);
    await Promise.all(mortal.map((one) => one.kill()));
    release();
    const doubtful = new Set(held.map((mail) => mail.id));
    assert.equal(doubtful.size, slots);
    // Killed once more, before anything is handed over.
    atDoor = true;
    let free = () => {};
    const again = new Promise((done) => { free = done; });
    post.atReceiver = () => again;
    post.atEnd = () => undefined;
    const tried = () => [...post.tried.values()].reduce((sum, count) => sum + count, 0);
    await Promise.all(mortal.map((one) => one.start()));
    const before = tried();
    await eventually('the next are at the door', () => tried() >= before + 1, 30_000);
    await Promise.all(mortal.map((one) => one.kill()));
    free();
    post.atReceiver = () => undefined;
    await Promise.all(mortal.map((one) => one.start()));
    await eventually(
      () => `all mails; ${post.taken.length} of ${people} came`,
      () => addresses.every((address) => post.to(address).length > 0),
      60_000,
    );
    // Longer than a lease and two looks of the reconciler.
    await sleep(12_000);
    for (const address of addresses) assert.equal(post.to(address).length, 1, `${address} has one mail`);
    assert.equal(new Set(post.taken.map((mail) => mail.id)).size, people);
    const log = fleet.processes.map((one) => one.log).join('');
    assert.match(log, /mails failed in doubt/);
  });
}
