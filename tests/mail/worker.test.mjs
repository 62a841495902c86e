// A worker of another program on `email`: the example in Python hands mails over, the server that claimed one notes how it
// ended.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, request } from '../contract/client.mjs';
import { Fleet } from '../fleet/fleet.mjs';
import { Example } from '../lib/example.mjs';
import { PostOffice, settings, tokenOf } from './post.mjs';

const patience = 20_000;

/** Two servers that send no mail themselves, and a post office. */
async function setUp(t) {
  const post = await PostOffice.start();
  t.after(() => post.close());
  const fleet = await Fleet.start({ servers: 2, workers: 0, network: false, env: { ...settings, AIM_WORKERS__FOREIGN: 'email' } });
  t.after(() => fleet.close());
  let people = 0;
  const register = async (server = fleet.servers[people % 2]) => {
    people += 1;
    const form = { email: `p${people}@example.org`, username: `person_${people}`, password: 'correct horse' };
    const { status } = await request(server, 'POST', '/api/auth/register', form);
    assert.equal(status, 201);
    return form.email;
  };
  const work = async () => {
    const worker = await Example.start('python', { REDIS_URL: fleet.redis.url, SMTP_URL: `smtp://127.0.0.1:${post.lease.number}` });
    t.after(() => worker.close());
    return worker;
  };
  const state = (address) => fleet.query(`SELECT state FROM mails WHERE address = '${address}'`);
  const job = async (id) => fleet.redis.command('HGET', `aim:email:${id}`, 'data');
  return { post, fleet, register, work, state, job };
}

test('the example hands mails over as a server would', async (t) => {
  const { post, fleet, register, work, state, job } = await setUp(t);
  const worker = await work();
  const addresses = [await register(), await register()];
  await eventually('both come', () => addresses.every((address) => post.to(address).length > 0), patience);
  const [mail] = post.to(addresses[0]);
  assert.match(mail.subject, /./);
  assert.match(mail.html, /<h1>/);
  assert.match(mail.header('message-id'), /^<[\w-]+@aim\.example\.test>$/);
  assert.equal(mail.header('auto-submitted'), 'auto-generated');
  assert.equal((await request(fleet.servers[0], 'POST', '/api/auth/email/confirm', { token: tokenOf(mail, 'confirm') })).status, 204);
  await eventually('they are noted as sent', async () => (await Promise.all(addresses.map(state))).every((one) => one === 'sent'));
  const id = `send-${mail.id.slice(1, mail.id.indexOf('@'))}-1`;
  assert.deepEqual(Object.keys(JSON.parse(await job(id))).sort(), ['attempt', 'kind', 'mailId'], 'no link stays in a job');
  assert.equal(await worker.end(), 0, 'it ends well');
});

test('what the mail server refuses for now is tried again, and what it refuses for good is given up', async (t) => {
  const { post, register, work, state } = await setUp(t);
  await work();
  let busy = 2;
  post.atReceiver = (address) => {
    if (address === 'p1@example.org' && busy > 0) { busy -= 1; return 451; }
    return address === 'p2@example.org' ? 550 : undefined;
  };
  const [later, never] = [await register(), await register()];
  await eventually('the busy one takes it at last', () => post.to(later).length === 1, patience);
  await eventually('the other is given up', async () => (await state(never)) === 'failed', patience);
  assert.equal(post.tried.get(later), 3);
  assert.equal(post.tried.get(never), 1);
  assert.equal(post.to(never).length, 0);
});

test('a worker that is killed while it hands a mail over sends it no second time', async (t) => {
  const { post, register, work, state } = await setUp(t);
  const worker = await work();
  let release = () => {};
  const killed = new Promise((done) => { release = done; });
  post.atEnd = () => killed;
  const address = await register();
  await eventually('it is over there', () => post.to(address).length === 1, patience);
  await worker.kill();
  release();
  post.atEnd = () => undefined;
  await worker.restart();
  await eventually('it is in doubt', async () => (await state(address)) === 'failed', 60_000);
  await sleep(3_000);
  assert.equal(post.to(address).length, 1);
});

test('without a worker mails wait; a server that ends gives them back, and they go out once', async (t) => {
  const { post, fleet, register, work, state } = await setUp(t);
  const addresses = [await register(fleet.servers[0]), await register(fleet.servers[0])];
  await eventually('they stand in line', async () => (await fleet.redis.command('LLEN', 'aim:email:wait')) !== '0'
    || (await fleet.redis.command('ZCARD', 'aim:email:prioritized')) !== '0');
  await fleet.servers[0].end();
  await work();
  await eventually('they come', () => addresses.every((address) => post.to(address).length > 0), 30_000);
  await sleep(2_000);
  for (const address of addresses) {
    assert.equal(post.to(address).length, 1);
    assert.equal(await state(address), 'sent');
  }
});
