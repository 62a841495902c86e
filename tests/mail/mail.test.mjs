// What people get by mail, from the outside: the real binary, and a real SMTP server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, request } from '../contract/client.mjs';
import { password, Server } from '../contract/server.mjs';
import { leasePort } from '../lib/ports.mjs';
import { PostOffice, settings, tokenOf, user } from './post.mjs';

async function opened(t, { tls, env } = {}) {
  const post = await PostOffice.start({ tls });
  t.after(() => post.close());
  const server = await Server.start({ env: { ...post.env, ...env } });
  t.after(() => server.stop());
  return { post, server };
}

/** The person's mail of this subject, once it is there. */
const mailTo = (post, person, subject, count = 1, ms = 10_000) => eventually(
  `${count} mails about ${subject}; came: ${post.taken.map((mail) => mail.subject)}`,
  () => (post.to(person.user.email, subject).length >= count ? post.to(person.user.email, subject)[count - 1] : undefined),
  ms,
);

for (const tls of ['starttls', 'wrapped']) {
  test(`a welcome goes out encrypted (${tls}), and its link confirms the address`, async (t) => {
    const { post, server } = await opened(t, { tls });
    const person = await server.register();
    const mail = await mailTo(post, person, 'Welcome');
    assert.deepEqual([mail.isEncrypted, mail.user], [true, user]);
    assert.match(mail.id, /^<[0-9a-f-]{36}@aim\.example\.test>$/);
    assert.ok(mail.html.includes(tokenOf(mail, 'confirm')), 'text and HTML say the same');
    assert.ok(!/<img|url\(|src=/.test(mail.html), 'nothing is loaded when it is opened');
    const me = async () => (await person.must('GET', '/api/auth/me')).user.emailConfirmed;
    assert.equal(await me(), false);
    const confirm = () => server.api('POST', '/api/auth/email/confirm', { token: tokenOf(mail, 'confirm') });
    assert.equal((await confirm()).status, 204);
    assert.equal(await me(), true);
    const again = await confirm();
    assert.deepEqual([again.status, again.body.errors[0].field], [422, 'token']);
    assert.equal((await person.api('POST', '/api/auth/email/resend')).status, 409);
  });
}

test('mail does not go to a server whose certificate nobody vouches for', async (t) => {
  const { post, server } = await opened(t, { tls: 'starttls', env: { AIM_MAIL__CA_FILE: '' } });
  await server.register();
  await eventually('it was tried', () => server.log.includes('a mail was not taken'));
  assert.match(server.log, /certificate/i);
  assert.ok(!server.log.includes('let%2Fme') && !server.log.includes('let/me'), 'no password is logged');
  assert.equal(post.taken.length, 0);
});

test('a forgotten password is set anew by the mail, and every session ends', async (t) => {
  const { post, server } = await opened(t);
  const person = await server.register();
  const socket = await person.socket();
  const forgot = async (login) => {
    const began = performance.now();
    const { status, body } = await server.api('POST', '/api/auth/password/forgot', { login });
    return { status, body, ms: performance.now() - began };
  };
  const unknown = await forgot('nobody_at_all');
  const known = await forgot(person.user.username);
  assert.deepEqual([unknown.status, unknown.body], [204, '']);
  assert.deepEqual([known.status, known.body], [204, '']);
  const mail = await mailTo(post, person, 'new password');
  const token = tokenOf(mail, 'reset');
  const reset = (body) => server.api('POST', '/api/auth/password/reset', body);
  assert.equal((await reset({ token, password: 'short' })).status, 422);
  assert.equal((await reset({ token, password: 'battery staple' })).status, 204);
  await socket.disconnected;
  assert.equal((await person.api('GET', '/api/auth/me')).status, 401);
  const login = (word) => server.api('POST', '/api/auth/login', { login: person.user.username, password: word });
  assert.equal((await login(password)).status, 401);
  assert.equal((await login('battery staple')).status, 200);
  assert.equal((await reset({ token, password: 'battery staple 2' })).status, 422);
  assert.equal(post.taken.filter((one) => one.subject.includes('new password')).length, 1, 'nobody else got one');
  assert.ok(!server.log.includes(token));
});

test('a mail server that is busy is asked again, one that refuses is not', async (t) => {
  const { post, server } = await opened(t);
  const codes = [451, 421];
  post.atReceiver = () => codes.shift();
  const patient = await server.register();
  const mail = await mailTo(post, patient, 'Welcome');
  assert.equal(post.tried.get(patient.user.email), 3);
  // Refused when it is over: as long as it is a clear answer, it may be tried again.
  const ends = [452];
  post.atReceiver = () => undefined;
  post.atEnd = () => ends.shift();
  const late = await server.register();
  await mailTo(post, late, 'Welcome', 2);
  const [first, second] = post.to(late.user.email);
  assert.equal(first.id, second.id, 'it is the same mail');
  assert.notEqual(first.id, mail.id);

  post.atEnd = () => undefined;
  post.atReceiver = () => 550;
  const unknown = await server.register();
  await eventually('it was refused', () => server.log.includes('a mail failed'));
  assert.match(server.log, /550/);
  // Longer than the waits, and than a look of the reconciler.
  await sleep(7_000);
  assert.equal(post.tried.get(unknown.user.email), 1);
  assert.equal(post.to(unknown.user.email).length, 0);
});

test('who waits for a link that was refused is told, in no words of the mail server, until another one is on its way', async (t) => {
  const { post, server } = await opened(t);
  post.atReceiver = () => 550;
  const person = await server.register();
  const failure = async () => (await person.must('GET', '/api/auth/me')).user.emailFailure;
  const { at, reason, ...rest } = await eventually('it is told', async () => (await failure()) ?? undefined);
  assert.deepEqual([reason, rest], ['refused', {}]);
  assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000);
  post.atReceiver = () => undefined;
  assert.equal((await person.api('POST', '/api/auth/email/resend')).status, 204);
  assert.equal(await failure(), null);
  const mail = await mailTo(post, person, 'Confirm');
  assert.equal(await failure(), null);
  assert.equal((await server.api('POST', '/api/auth/email/confirm', { token: tokenOf(mail, 'confirm') })).status, 204);
  const { emailConfirmed, emailFailure } = (await person.must('GET', '/api/auth/me')).user;
  assert.deepEqual([emailConfirmed, emailFailure], [true, null]);
});

test('a mail server that is away for a while costs no mail', async (t) => {
  const lease = await leasePort();
  const url = `smtp://127.0.0.1:${lease.number}?tls=none`;
  const env = { ...settings, AIM_MAIL__URL: url };
  const server = await Server.start({ env });
  t.after(() => server.stop());
  const person = await server.register();
  await eventually('it was tried', () => server.log.includes('a mail was not taken'));
  const post = await PostOffice.start({ lease });
  t.after(() => post.close());
  await mailTo(post, person, 'Welcome', 1, 20_000);
  await sleep(1_000);
  assert.equal(post.taken.length, 1);
});

test('a reply that waits is told to who has gone, and one click ends it', async (t) => {
  const { post, server } = await opened(t, { env: { AIM_MAIL__REPLY_WAIT: '2s' } });
  const stays = await server.register();
  const goes = await server.register();
  const character = await stays.character();
  const rooms = new Map();
  for (const person of [stays, goes]) rooms.set(person, await person.conversation(character));
  const sockets = new Map();
  for (const person of [stays, goes]) sockets.set(person, await person.socket({ join: [rooms.get(person)] }));
  server.model.plan = { ...server.model.plan, firstMs: 500 };
  for (const person of [stays, goes]) {
    assert.equal((await sockets.get(person).send(rooms.get(person), `Are you there? #${person.id}`)).ok, true);
  }
  sockets.get(goes).close();
  const mail = await mailTo(post, goes, 'answered you');
  assert.ok(mail.text.includes(`https://aim.example.test/c/${rooms.get(goes).id}`));
  assert.ok(!mail.text.includes('Are you there') && !mail.text.includes('About #'), 'no message is in it');
  assert.equal(post.to(stays.user.email, 'answered you').length, 0);

  // What a mail program does (RFC 8058): the address of one header, the body of the other, and nothing else.
  const link = new URL(/^<(.*)>$/.exec(mail.header('list-unsubscribe'))[1]);
  assert.equal(mail.header('list-unsubscribe-post'), 'List-Unsubscribe=One-Click');
  const look = await request({ url: server.url }, 'GET', link.pathname + link.search);
  assert.deepEqual([look.status, look.headers.get('location')], [303, `/unsubscribe${link.search}`]);
  assert.deepEqual(await goes.must('GET', '/api/mail/notices'), { replyWaiting: true, usage: true }, 'a look changes nothing');
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const clicked = await request({ url: server.url }, 'POST', link.pathname + link.search, 'List-Unsubscribe=One-Click', form);
  assert.deepEqual([clicked.status, clicked.body.notice], [200, 'reply-waiting']);
  assert.deepEqual(await goes.must('GET', '/api/mail/notices'), { replyWaiting: false, usage: true });
  const other = await goes.conversation(await goes.character({ name: 'Ines' }));
  const { body } = await goes.send(other, 'And you? #other');
  await eventually('the reply', () => server.model.calls.some((call) => call.marker === '#other' && call.endedAt));
  await sleep(4_000);
  assert.ok(body.message.id);
  assert.equal(post.to(goes.user.email, 'answered you').length, 1);
});

test('a new tier is told, by a command that runs beside the server', async (t) => {
  const { post, server } = await opened(t);
  const person = await server.register();
  await server.command(['user', 'set', person.user.username, '--tier', 'premium']);
  await mailTo(post, person, 'premium now', 1, 15_000);
});

test('in development mails are files, which a page shows to this machine', async (t) => {
  const server = await Server.start({ env: { AIM_PROFILE: 'development' } });
  t.after(() => server.stop());
  const person = await server.register();
  const list = await eventually('the mail on the page', async () => {
    const { status, body } = await server.api('GET', '/dev/mails');
    return status === 200 && body.includes(person.user.email) && body;
  });
  const [, where] = /href="(\/dev\/mails\/[\w-]+)"/.exec(list);
  assert.match((await server.api('GET', where)).body, /\/confirm\?token=[\w-]{43}/);
  assert.match((await server.api('GET', `${where}/html`)).body, /class="button"/);
  assert.match((await server.api('GET', `${where}/raw`)).body, /^Message-ID: </);
  assert.equal((await server.api('GET', '/dev/mails/..%2Faim')).status, 404);
  const far = { 'x-forwarded-for': '203.0.113.9' };
  assert.equal((await server.api('GET', where, undefined, far)).status, 401);
  assert.equal((await person.api('GET', where, undefined, far)).status, 403);

  const elsewhere = await Server.start();
  t.after(() => elsewhere.stop());
  assert.equal((await elsewhere.api('GET', '/dev/mails', undefined, { accept: 'text/html' })).status, 404);
  assert.equal((await elsewhere.api('POST', '/api/auth/password/forgot', { login: person.user.username })).status, 204);
});
