// Who speaks: what a model is given of personas and of several people, and what other devices are told of a form.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from './client.mjs';
import { Server } from './server.mjs';

let server;
let model;
before(async () => {
  server = await Server.start();
  model = server.model;
});
after(() => server?.stop());

const personas = '/api/users/me/personas';

/** What the model was given for the message with this marker. */
async function given(marker) {
  const [call] = await eventually(`the call for ${marker}`, () => {
    const calls = model.callsFor(marker);
    return calls.length > 0 && calls;
  });
  return { system: call.messages[0].text, last: call.messages.findLast(({ role }) => role === 'user').text, messages: call.messages };
}

async function says(person, conversation, text) {
  const { status, body } = await person.send(conversation, text);
  assert.equal(status, 202, JSON.stringify(body));
  return person.replyTo(conversation, body.message.id);
}

test("a persona's name and description arrive at the model", async () => {
  const ada = await server.register();
  const form = { name: 'Captain Rook', description: '{{user}} lost a ship to {{char}}.', isDefault: true };
  const { persona } = await ada.must('POST', personas, form);
  const character = await ada.character({ greeting: 'Ahoy, {{user}}.', scenario: 'A storm, and {{persona}}' });
  const conversation = await ada.conversation(character);
  assert.equal((await ada.messages(conversation))[0].text, 'Ahoy, Captain Rook.');
  await says(ada, conversation, 'Hello #persona-1');
  const first = await given('#persona-1');
  assert.match(first.system, /talking with Captain Rook\./);
  assert.match(first.system, /Scenario: A storm, and Captain Rook lost a ship to Mara\.[^]*About Captain Rook: Captain Rook lost a ship to Mara\.$/);
  assert.equal(first.last, 'Hello #persona-1');

  const other = (await ada.must('POST', personas, { name: 'Wren', description: 'Shoes horses.' })).persona;
  const chosen = await ada.must('PUT', `/api/conversations/${conversation.id}/persona`, { personaId: other.id });
  assert.deepEqual(chosen, { persona: other, speaksAs: other });
  await says(ada, conversation, 'Hello #persona-2');
  const second = await given('#persona-2');
  assert.ok(second.system.endsWith('About Wren: Shoes horses.') && !second.system.includes('Rook'), second.system);
  assert.equal((await ada.api('DELETE', `${personas}/${other.id}`)).status, 204);
  assert.deepEqual(await ada.must('GET', `/api/conversations/${conversation.id}/persona`), { persona: null, speaksAs: persona });
  await says(ada, conversation, 'Hello #persona-3');
  assert.match((await given('#persona-3')).system, /talking with Captain Rook\./);
});

test('two speakers are told apart, and the reply goes to the one who asked', async () => {
  const [ada, ben] = [await server.register(), await server.register()];
  await ada.must('POST', personas, { name: 'Anna: {{char}}', description: 'A queen.', isDefault: true });
  await ben.must('POST', personas, { name: 'Tom', description: 'A smith.', isDefault: true });
  const conversation = await ada.conversation();
  await ada.must('POST', `/api/conversations/${conversation.id}/members`, { userId: ben.id });
  await says(ada, conversation, 'Good evening #two-1');
  const alone = await given('#two-1');
  assert.equal(alone.last, 'Good evening #two-1', 'of one who is alone nothing is said');
  assert.ok(!alone.system.includes('A smith.'));
  await says(ben, conversation, 'And me? #two-2');
  const both = await given('#two-2');
  assert.equal(both.last, 'Tom: And me? #two-2');
  assert.ok(both.messages.some(({ role, text }) => role === 'user' && text === 'Anna {{char}}: Good evening #two-1'), JSON.stringify(both.messages));
  assert.match(both.system, /Several people talk with Mara here: Tom, Anna \{\{char\}\}\./);
  assert.match(both.system, /reply to Tom, as Mara alone/);
  assert.match(both.system, /About Tom: A smith\.\n\nAbout Anna \{\{char\}\}: A queen\.$/);
  await says(ada, conversation, 'Yes #two-3');
  assert.match((await given('#two-3')).system, /reply to Anna \{\{char\}\}, as Mara alone/);
  const played = await ben.must('GET', `/api/conversations/${conversation.id}/personas`);
  assert.deepEqual(played.items, [
    { userId: ada.id, name: 'Anna: {{char}}', avatarUrl: null }, { userId: ben.id, name: 'Tom', avatarUrl: null },
  ]);
});

test('a saved form is told to all devices of its owner, and to nobody else', async () => {
  const [ada, ben] = [await server.register(), await server.register()];
  const [desk, phone, other] = [await ada.socket(), await ada.socket(), await ben.socket()];
  const { draft } = await ada.must('PUT', '/api/drafts/new-character', { name: 'Mara', step: 3 });
  for (const socket of [desk, phone]) {
    const told = await socket.until('draft:updated');
    assert.deepEqual(told, { key: 'new-character', savedAt: draft.savedAt });
    const fresh = await ada.must('GET', '/api/drafts/new-character');
    assert.equal(fresh.draft.savedAt, told.savedAt);
  }
  assert.equal((await ada.api('DELETE', '/api/drafts/new-character')).status, 204);
  await phone.until('draft:updated', ({ savedAt }) => savedAt === null);
  assert.deepEqual(other.of('draft:updated'), []);
});
