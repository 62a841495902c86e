// Every error of REST is a problem document with a code; every answer has a request id.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from './client.mjs';
import { Server } from './server.mjs';

let server;
let ada;
before(async () => {
  server = await Server.start();
  ada = await server.register();
});
after(() => server?.stop());

function assertProblem(answer, status, code) {
  assert.equal(answer.status, status, JSON.stringify(answer.body).slice(0, 300));
  assert.match(answer.headers.get('content-type'), /^application\/problem\+json/);
  const { title, detail, requestId } = answer.body;
  assert.deepEqual([answer.body.status, answer.body.code], [status, code]);
  for (const text of [title, detail, requestId]) assert.ok(typeof text === 'string' && text.length > 0, JSON.stringify(answer.body));
}

test('an unknown route is not found', async () => {
  for (const where of ['/api/nothing', '/api/characters/x/y/z', '/api/']) assertProblem(await ada.api('GET', where), 404, 'not_found');
  assertProblem(await server.api('POST', '/api/nothing', {}), 404, 'not_found');
});

test('a wrong method is told which ones are right', async () => {
  for (const [method, where] of [['DELETE', '/api/auth/login'], ['PUT', '/api/characters'], ['GET', '/api/auth/logout']]) {
    const answer = await ada.api(method, where);
    assert.equal(answer.status, 405, `${method} ${where}`);
    assert.match(answer.headers.get('content-type'), /^application\/problem\+json/);
    assert.ok(answer.headers.get('allow'), `${method} ${where} says what is allowed`);
    assert.ok(answer.body.code && answer.body.requestId, JSON.stringify(answer.body));
  }
});

test('a body that is no JSON, or not the right JSON, is refused as a problem', async () => {
  for (const body of ['{"characterId":', 'hello', '[]', 'null', '"text"', '{"characterId": 7}', '{}']) {
    assertProblem(await ada.api('POST', '/api/conversations', body), 422, 'validation');
  }
  const plain = await ada.api('POST', '/api/conversations', '{}', { 'content-type': 'text/plain' });
  assertProblem(plain, 415, 'unsupported_media_type');
  const squeezed = await ada.api('POST', '/api/conversations', '{}', { 'content-encoding': 'gzip' });
  assertProblem(squeezed, 415, 'unsupported_media_type');
});

test('a body that is too large is refused', async () => {
  // Little over the limits, and far over: the answer arrives though the client is still sending.
  const long = (length) => ({ name: 'x', description: 'y'.repeat(length) });
  assertProblem(await ada.api('POST', '/api/characters', long(2_100_000)), 413, 'payload_too_large');
  assertProblem(await ada.api('POST', '/api/conversations', long(70_000)), 413, 'payload_too_large');
  assertProblem(await ada.api('POST', '/api/conversations', long(20_000_000)), 413, 'payload_too_large');
});

test('bad fields are named, all at once', async () => {
  const answer = await server.api('POST', '/api/auth/register', { email: 'no address', username: 'A b', password: 'short' });
  assertProblem(answer, 422, 'validation');
  assert.deepEqual(answer.body.errors.map(({ field }) => field).toSorted(), ['email', 'password', 'username']);
  assert.ok(answer.body.errors.every(({ message }) => message.length > 0));
});

test('what is taken is a conflict, compared without case', async () => {
  const { user } = ada;
  const fresh = { email: 'someone@example.org', username: 'someone_else', password: 'long enough' };
  for (const clash of [{ username: user.username.toUpperCase() }, { email: user.email.toUpperCase() }]) {
    assertProblem(await server.api('POST', '/api/auth/register', { ...fresh, ...clash }), 409, 'conflict');
  }
  const id = 'my-own-id';
  await ada.character({ id });
  assertProblem(await ada.api('POST', '/api/characters', { name: 'Again', id }), 409, 'conflict');
});

test('ids of the wrong form or reserved are refused, unknown ones are not found', async () => {
  for (const id of ['gallery', 'with space', 'a'.repeat(129), '']) {
    assertProblem(await ada.api('POST', '/api/characters', { name: 'Odd', id }), 422, 'validation');
  }
  for (const where of ['/api/characters/unknown', '/api/conversations/unknown', '/api/conversations/unknown/messages', '/api/users/unknown']) {
    assertProblem(await ada.api('GET', where), 404, 'not_found');
  }
  const { status } = await ada.api('GET', '/api/characters/%2e%2e%2fsecret');
  assert.ok([404, 422].includes(status), `status ${status}`);
});

test('whoever is not signed in is told so', async () => {
  const calls = [
    ['GET', '/api/auth/me'], ['GET', '/api/auth/usage'], ['POST', '/api/conversations', { characterId: 'x' }], ['POST', '/api/auth/logout'],
    ['GET', '/api/conversations'], ['GET', '/api/conversations/x/messages'],
  ];
  for (const [method, where, body] of calls) {
    assertProblem(await server.api(method, where, body), 401, 'unauthenticated');
    assertProblem(await server.api(method, where, body, { authorization: 'Bearer wrong' }), 401, 'unauthenticated');
  }
});

test('a wrong password and an unknown name are refused in the same words', async () => {
  const wrong = await server.api('POST', '/api/auth/login', { login: ada.user.username, password: 'not this one' });
  const unknown = await server.api('POST', '/api/auth/login', { login: 'nobody_here', password: 'not this one' });
  assertProblem(wrong, 401, 'unauthenticated');
  assertProblem(unknown, 401, 'unauthenticated');
  assert.equal(wrong.body.detail, unknown.body.detail);
});

test('a request id is given, and a client’s own is kept', async () => {
  const answer = await ada.api('GET', '/api/nothing');
  assert.equal(answer.headers.get('x-request-id'), answer.body.requestId);
  const own = await ada.api('GET', '/api/nothing', undefined, { 'x-request-id': 'mine-1234' });
  assert.equal(own.body.requestId, 'mine-1234');
});

test('the OpenAPI document is published, and lists what this file calls', async () => {
  const { status, body } = await server.api('GET', '/api/openapi.json');
  assert.equal(status, 200);
  assert.match(body.openapi, /^3\.1/);
  for (const where of ['/api/auth/register', '/api/conversations/{id}/messages', '/api/conversations/{id}/state', '/api/auth/usage/{characterId}']) {
    assert.ok(Object.keys(body.paths).some((path) => path.replaceAll(/\{\w+\}/g, '{}') === where.replaceAll(/\{\w+\}/g, '{}')), `${where} is missing`);
  }
  assert.equal((await server.api('GET', '/docs')).status, 200);
});

test('health says what was checked', async () => {
  for (const where of ['/health', '/health/live', '/health/ready']) assert.equal((await server.api('GET', where)).status, 200);
  // On a busy machine a check may be slow once.
  const { body } = await eventually('health', async () => {
    const answer = await server.api('GET', '/health');
    return answer.body.status === 'ok' && answer;
  });
  for (const check of ['database', 'redis', 'queues', 'ai']) assert.ok(check in body.checks, `${check} in ${Object.keys(body.checks)}`);
});
