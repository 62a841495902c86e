// What other tests rely on: servers that are really there, and a network that breaks just as it is told.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { alive } from './daemon.mjs';
import { Postgres } from './postgres.mjs';
import { Proxy } from './proxy.mjs';
import { Redis } from './redis.mjs';

/** A connection that gathers what it hears; `ended` is how it ended. */
async function dial(port) {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  const client = { socket, heard: '', ended: undefined };
  socket.on('data', (bytes) => { client.heard += bytes; });
  socket.on('error', (error) => { client.ended = error.code; });
  socket.on('end', () => { client.ended = 'end'; });
  await once(socket, 'connect');
  return client;
}

async function eventually(what, holds, ms = 5000) {
  const deadline = Date.now() + ms;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, what);
    await sleep(2);
  }
}

async function says(client, text, answer = text) {
  client.heard = '';
  client.socket.write(text);
  await eventually(`an answer to ${text}`, () => client.heard === answer);
}

const refused = (port) => dial(port).then(() => false, (error) => error.code === 'ECONNREFUSED');

async function echo(t) {
  const server = createServer({ allowHalfOpen: true }, (socket) => { socket.on('error', () => {}).pipe(socket); });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return server.address().port;
}

async function proxyBefore(t, port) {
  const proxy = await Proxy.before(port);
  t.after(() => proxy.close());
  return proxy;
}

test('Redis keeps nothing unless asked, and finds its port again', async (t) => {
  const redis = await Redis.start();
  t.after(() => redis.close());
  await redis.command('SET', 'a', 1);
  const { port, pid } = redis;
  await redis.kill();
  assert.ok(!(await alive(pid)));
  assert.ok(await refused(port));
  await redis.restart();
  assert.equal(redis.port, port);
  assert.notEqual(redis.pid, pid);
  assert.equal(await redis.command('GET', 'a'), '');
  await assert.rejects(redis.command('GET'), /wrong number of arguments/);
  await redis.close();
  assert.ok(!existsSync(redis.folder));
});

test('a persistent Redis keeps what was written until it is restarted empty', async (t) => {
  const redis = await Redis.start({ persistent: true, password: 'secret', config: { maxmemory: '10mb' } });
  t.after(() => redis.close());
  assert.equal(redis.url, `redis://:secret@127.0.0.1:${redis.port}`);
  assert.equal(await redis.command('CONFIG', 'GET', 'maxmemory'), 'maxmemory\n10485760');
  await redis.command('SET', 'a', 1);
  await redis.restart();
  assert.equal(await redis.command('GET', 'a'), '1');
  await redis.restartEmpty();
  assert.equal(await redis.command('GET', 'a'), '');
});

test('a stopped Redis is silent and then does what it was told', async (t) => {
  const redis = await Redis.start();
  t.after(() => redis.close());
  const client = await dial(redis.port);
  await redis.stop();
  client.socket.write('INCR n\r\n');
  await sleep(100);
  assert.equal(client.heard, '');
  await redis.cont();
  await eventually('the answer', () => client.heard === ':1\r\n');
});

test('what ended by itself is told from what was ended', async (t) => {
  const redis = await Redis.start();
  t.after(() => redis.close());
  await redis.restart();
  assert.equal(await redis.end(), 0);
  assert.equal(redis.fallen, undefined);
  await redis.restart();
  process.kill(redis.pid, 'SIGKILL');
  await eventually('the fall', () => redis.fallen === 'SIGKILL');
  assert.equal(redis.pid, undefined);
});

test('PostgreSQL keeps what was committed, also when it is killed', async (t) => {
  const postgres = await Postgres.start();
  t.after(() => postgres.close());
  await postgres.query('CREATE TABLE a (n int)');
  await postgres.query('INSERT INTO a VALUES (1), (2)');
  assert.equal(await postgres.query('SELECT n, n + 1 FROM a ORDER BY n'), '1|2\n2|3');
  assert.equal(await postgres.createDatabase('other'), `postgres://aim@127.0.0.1:${postgres.port}/other`);
  const pids = await postgres.pids();
  assert.ok(pids.length > 1);
  await postgres.kill();
  for (const pid of pids) assert.ok(!(await alive(pid)));
  await postgres.restart();
  assert.equal(await postgres.query('SELECT count(*) FROM a'), '2');
  await postgres.stop();
  const late = postgres.query('SELECT 1');
  assert.equal(await Promise.race([late, sleep(200, 'silence')]), 'silence');
  await postgres.cont();
  assert.equal(await late, '1');
});

test('the network forwards faithfully, and passes ends on', async (t) => {
  const proxy = await proxyBefore(t, await echo(t));
  const { socket } = await dial(proxy.port);
  const sent = Buffer.alloc(5_000_000, 'abcdefghijk');
  const heard = [];
  socket.on('data', (bytes) => heard.push(bytes));
  socket.end(sent);
  await once(socket, 'end');
  assert.ok(Buffer.concat(heard).equals(sent));
});

test('cut resets and refuses, and heal accepts again', async (t) => {
  const proxy = await proxyBefore(t, await echo(t));
  for (let round = 0; round < 20; round += 1) {
    const client = await dial(proxy.port);
    await says(client, 'a');
    await proxy.cut();
    await eventually('a reset', () => client.ended === 'ECONNRESET');
    assert.ok(await refused(proxy.port));
    await proxy.heal();
  }
  const client = await dial(proxy.port);
  proxy.cutConnections();
  await eventually('a reset', () => client.ended === 'ECONNRESET');
  await says(await dial(proxy.port), 'b');
});

test('a black hole swallows, and resets what lost something when it ends', async (t) => {
  const redis = await Redis.start();
  t.after(() => redis.close());
  const proxy = await proxyBefore(t, redis.port);
  const [idle, busy] = [await dial(proxy.port), await dial(proxy.port)];
  await says(idle, 'PING\r\n', '+PONG\r\n');
  await says(busy, 'PING\r\n', '+PONG\r\n');
  proxy.blackHole();
  const late = await dial(proxy.port);
  for (const client of [busy, late]) client.socket.write('INCR n\r\n');
  await sleep(100);
  assert.equal(await redis.command('GET', 'n'), '');
  assert.deepEqual([busy.ended, late.ended], [undefined, undefined]);
  await proxy.heal();
  await eventually('resets', () => busy.ended === 'ECONNRESET' && late.ended === 'ECONNRESET');
  await says(idle, 'INCR n\r\n', ':1\r\n');
});

test('a delay is paid once however much is under way', async (t) => {
  const proxy = await proxyBefore(t, await echo(t));
  const client = await dial(proxy.port);
  await says(client, 'a');
  proxy.delay(100);
  client.heard = '';
  const start = performance.now();
  for (let n = 0; n < 10; n += 1) {
    client.socket.write(String(n));
    await sleep(2);
  }
  await eventually('all of it', () => client.heard === '0123456789');
  const took = performance.now() - start;
  assert.ok(took >= 199 && took < 500, `${took} ms`);
});

test('replies are held back and delivered in order, and are one exchange', async (t) => {
  const redis = await Redis.start();
  t.after(() => redis.close());
  const proxy = await proxyBefore(t, redis.port);
  const client = await dial(proxy.port);
  const recording = proxy.record();
  for (let n = 1; n <= 5; n += 1) {
    await says(client, 'PING\r\n', '+PONG\r\n');
    assert.equal(proxy.exchanges, n);
  }
  await says(await dial(proxy.port), 'ECHO a\r\n', '$1\r\na\r\n');
  assert.deepEqual(recording.exchanges.map(({ connection, text }) => [connection, text]), [
    ...Array.from({ length: 5 }, () => [1, 'PING\r\n']), [2, 'ECHO a\r\n'],
  ]);
  proxy.holdReplies();
  client.heard = '';
  for (let n = 0; n < 3; n += 1) {
    client.socket.write('INCR n\r\n');
    await sleep(5);
  }
  await eventually('the commands', async () => await redis.command('GET', 'n') === '3');
  assert.equal(client.heard, '');
  proxy.releaseReplies();
  await eventually('the replies', () => client.heard === ':1\r\n:2\r\n:3\r\n');
  assert.equal(proxy.exchanges, 7);
  assert.equal(recording.exchanges.at(-1).text, 'INCR n\r\n'.repeat(3));
});

test('flapping goes on until healed', async (t) => {
  const proxy = await proxyBefore(t, await echo(t));
  proxy.flapping(20, 20);
  const seen = { true: 0, false: 0 };
  await eventually('both', async () => {
    seen[await refused(proxy.port)] += 1;
    return seen.true >= 5 && seen.false >= 5;
  });
  await proxy.heal();
  const client = await dial(proxy.port);
  await sleep(100);
  await says(client, 'a');
});
