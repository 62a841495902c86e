// What the rows of the table are about: each makes something of the owner's, with the guest in it where there is room for one,
// and answers what fills the path. All that is written holds the word `canary`, by which it is known when it leaks.

import { png } from '../../lib/pictures.mjs';
import { eventually } from '../client.mjs';
import { password } from '../server.mjs';

export { password };

export const nothing = () => ({});

/** Made anew for everyone who asks. */
export const each = (thing) => Object.assign((world, who) => thing(world, who), { each: true });

export function registration() {
  const username = `p_${Math.random().toString(36).slice(2, 12)}`;
  return { email: `${username}@example.org`, username, password };
}

export const picture = () => file(png(40, 30));
export const card = () => file(Buffer.from(JSON.stringify({
  spec: 'chara_card_v2', spec_version: '2.0',
  data: {
    name: 'Nora', description: '', personality: '', scenario: '', first_mes: '', mes_example: '', creator_notes: '', system_prompt: '',
    post_history_instructions: '', alternate_greetings: [], tags: [], creator: '', character_version: '', extensions: {},
  },
})));

export const chat = () => file(Buffer.from([
  { user_name: 'Ann', character_name: 'Mara' }, { name: 'Ann', is_user: true, mes: 'A secret canary' },
].map((line) => JSON.stringify(line)).join('\n')));

function file(bytes) {
  const form = new FormData();
  form.append('file', new Blob([bytes]), 'file');
  return form;
}

/** Somebody else, for what one does to others. */
export async function person(world) {
  const made = await world.server.register();
  return { id: made.id, uid: made.id, userId: made.id, username: made.user.username };
}

/** An account of one's own that may be lost: who asks is somebody new, with the same rights. */
export async function account(world, who) {
  return { as: who === 'nobody' ? undefined : who === 'admin' ? await world.newAdmin() : await world.server.register() };
}

export async function device(world) {
  const login = { login: world.owner.user.username, password };
  const other = world.server.person((await world.server.api('POST', '/api/auth/login', login)).body);
  const { items } = await other.must('GET', '/api/auth/sessions');
  return { id: items.find((one) => one.current).id };
}

export async function character(world) {
  const { id } = await world.owner.character({ name: 'Mara canary' });
  return { id, characterId: id };
}

/** A private character. */
export async function hidden(world) {
  const { id } = await world.owner.character({ name: 'Hidden canary', visibility: 'private' });
  return { id };
}

/** A private character with which the owner talks in the guest's presence. */
export async function shared(world) {
  const { id } = await hidden(world);
  const talk = await world.owner.conversation({ id });
  await world.owner.must('POST', `/api/conversations/${talk.id}/members`, { userId: world.guest.id });
  return { id };
}

export async function conversation(world) {
  const made = await world.owner.conversation(await world.owner.character({ name: 'Mara canary', greeting: 'Ahoy, canary.' }));
  await world.owner.must('POST', `/api/conversations/${made.id}/members`, { userId: world.guest.id });
  return { id: made.id, characterId: made.characterId };
}

export const call = conversation;

/** A conversation in which the owner said something and was answered. */
export async function said(world) {
  const { id } = await conversation(world);
  const sent = await world.owner.send({ id }, 'A secret canary #said');
  const reply = await world.owner.replyTo({ id }, sent.body.message.id);
  await eventually('the end of the reply', async () => (
    (await world.owner.must('GET', `/api/conversations/${id}/state`)).state === 'idle'
      && (await world.owner.messages({ id })).every((message) => message.replyState !== 'due')
  ));
  return { id, messageId: sent.body.message.id, replyId: reply.id };
}

/** A conversation that the owner deleted. */
export async function deleted(world) {
  const { id } = await conversation(world);
  await world.owner.must('DELETE', `/api/conversations/${id}`);
  return { id };
}

/** A link into a conversation of the owner's. */
export async function invitation(world) {
  const { id } = await conversation(world);
  const { invite } = await world.owner.must('POST', `/api/conversations/${id}/invites`, {});
  return { id, inviteId: invite.id, token: invite.token };
}

export async function persona(world) {
  const { persona: made } = await world.owner.must('POST', '/api/users/me/personas', { name: 'Captain canary' });
  return { id: made.id };
}

/** A character with a picture in its gallery, and another that is not. */
export async function album(world) {
  const [{ id }, shown, { id: uploadId }] = [await character(world), await upload(world), await upload(world)];
  const { item } = await world.owner.must('POST', `/api/characters/${id}/gallery`, { uploadId: shown.id, caption: 'canary' });
  return { id, mediaId: item.id, uploadId };
}

export async function upload(world) {
  const answer = await fetch(`${world.server.url}/api/uploads`, {
    method: 'POST', headers: { authorization: `Bearer ${world.owner.token}` }, body: picture(),
  });
  const { id } = (await answer.json()).upload;
  await eventually('the picture', async () => (await world.owner.must('GET', `/api/uploads/${id}`)).upload.status === 'ready');
  return { id, uploadId: id, variant: 'thumb' };
}

/** A picture that stands nowhere. */
export const loose = upload;
export const stray = upload;

/** A picture in a conversation. */
export async function image(world) {
  const [{ id }, of] = [await conversation(world), await upload(world)];
  await world.owner.must('POST', `/api/conversations/${id}/messages`, {
    type: 'image', uploadId: of.id, text: 'canary', clientId: crypto.randomUUID(),
  });
  return of;
}

async function talkedWith(world, how) {
  const { id } = await world.owner.character(how);
  const talk = await world.owner.conversation({ id });
  await world.owner.must('POST', `/api/conversations/${talk.id}/members`, { userId: world.guest.id });
  return id;
}

/** A picture of a private character, with which the owner talks in the guest's presence. */
async function ofPrivate(world, expression) {
  const [id, of] = [await talkedWith(world, { name: 'Hidden canary', visibility: 'private' }), await upload(world)];
  await world.owner.must('POST', `/api/characters/${id}/gallery`, { uploadId: of.id, expression });
  return of;
}

export const face = (world) => ofPrivate(world, 'joy');
/** No face. */
export const sketch = (world) => ofPrivate(world, undefined);

/** A picture of a public character of such a conversation that operators took down. */
export async function withdrawn(world) {
  const [id, of] = [await talkedWith(world, { name: 'Mara canary' }), await upload(world)];
  await world.owner.must('POST', `/api/characters/${id}/gallery`, { uploadId: of.id });
  await world.admin.must('PATCH', `/api/admin/characters/${id}`, { unlisted: true, reason: 'As the test wants.' });
  return of;
}

/** An upload in parts, begun. */
export async function part(world) {
  const answer = await fetch(`${world.server.url}/api/uploads/tus`, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.owner.token}`, 'tus-resumable': '1.0.0', 'upload-length': '9' },
  });
  return { id: answer.headers.get('location').split('/').at(-1) };
}

export async function complaint(world) {
  const { id } = await character(world);
  const { report } = await world.owner.must('POST', '/api/reports', { kind: 'character', id, reason: 'spam', note: 'canary' });
  return { id: report.id };
}

/** What fills the paths of the board; none of it is there. */
export const board = () => ({
  queue: 'email', job: 'none-1', schedule: 'none', status: 'completed', file: 'none.js', rest: 'none',
});
