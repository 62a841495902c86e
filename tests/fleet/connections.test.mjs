// What a process keeps open to Redis, and that sockets and requests add nothing to it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Person, eventually, request } from '../contract/client.mjs';
import { Fleet } from './fleet.mjs';

const sockets = 200;
const atOnce = 20;
const patience = 20_000;

let fleet;
let ada;
before(async () => {
  // Without a network in between: what Redis sees is what the processes opened.
  fleet = await Fleet.start({ servers: 1, workers: 0, network: false, server: { AIM_WORKERS__ENABLED: 'false' } });
  const form = { email: 'ada@example.org', username: 'ada_l', password: 'correct horse' };
  const { body } = await request(fleet.servers[0], 'POST', '/api/auth/register', form);
  ada = new Person({ url: fleet.servers[0].url, socketUrl: () => fleet.servers.at(-1).url }, body.user, body.token);
});
after(async () => {
  ada?.close();
  fleet?.assertNobodyFell();
  await fleet?.close();
});

const kinds = ['commands', 'events', 'waiting'];

/** How many connections Redis has of each kind, but for the one that asks: `events` hears some channel, `waiting` waits for jobs. */
async function connections() {
  const lines = (await fleet.redis.command('CLIENT', 'LIST')).split('\n').filter(Boolean);
  const found = Object.fromEntries(kinds.map((kind) => [kind, 0]));
  for (const line of lines) {
    const { cmd, sub, psub, ssub = 0 } = Object.fromEntries(line.split(' ').map((field) => field.split(/=(.*)/s)));
    if (cmd === 'client|list') continue;
    const hears = Number(sub) + Number(psub) + Number(ssub) > 0;
    found[hears ? 'events' : cmd === 'bzpopmin' ? 'waiting' : 'commands'] += 1;
  }
  return found;
}

/** Waits until Redis has just the connections of all of these together. */
async function has(...many) {
  const expected = Object.fromEntries(kinds.map((kind) => [kind, many.reduce((sum, one) => sum + one[kind], 0)]));
  let found;
  await eventually(() => `${JSON.stringify(expected)}; there are ${JSON.stringify(found)}`, async () => {
    found = await connections();
    return kinds.every((kind) => found[kind] === expected[kind]);
  }, patience);
}

/** One for commands, one for events, and one of BullMQ's to add jobs by. */
const server = { commands: 2, events: 1, waiting: 0 };
/** It has nobody to tell of events, so that the one for them hears nothing. */
const alone = { commands: 3, events: 0, waiting: 0 };
/** Two more for each queue that is worked on: one to fetch and end jobs, one to wait for them. Mail is not set up here. */
const jobs = { commands: 4, events: 0, waiting: 4 };

test(`${sockets} sockets in ${atOnce} rooms, and what is said there, cost a server no connection`, async () => {
  await has(alone);
  const rooms = await Promise.all(Array.from({ length: atOnce }, () => ada.conversation()));
  for (let i = 0; i < sockets; i += atOnce) await Promise.all(rooms.map((room) => ada.socket({ join: [room] })));
  assert.equal(ada.sockets.filter(({ io }) => io.connected).length, sockets);
  const channels = (await fleet.redis.command('PUBSUB', 'CHANNELS', 'aim:room:*')).split('\n').filter(Boolean);
  assert.equal(channels.length, atOnce, 'a channel a room');
  await has(server);
  const said = await Promise.all(ada.sockets.map((socket, i) => socket.send(rooms[i % atOnce], 'Hello')));
  assert.ok(said.every(({ ok }) => ok), JSON.stringify(said.find(({ ok }) => !ok)));
  await has(server);
});

test('what runs jobs has two more for each queue', async () => {
  await fleet.addServer({ AIM_WORKERS__ENABLED: 'true' });
  await ada.socket({ join: [await ada.conversation()] });
  await has(server, server, jobs);
  await fleet.addWorker();
  await has(server, server, jobs, alone, jobs);
});
