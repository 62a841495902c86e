// Who may do what: a row for every route and for every socket event, a column for each of five people. `access.test.mjs`
// makes each request for real, and fails when a route of the OpenAPI document has no row; a test of the server does the same
// for routes outside of that document and for socket events.
//
// A NEW ROUTE NEEDS A ROW. `row('METHOD /path/{as}/{documented}', 'owner guest stranger nobody admin', thing, ask)`:
//   - the columns: the status that each gets. The owner owns what the path names; the guest is in the conversation and owns
//     nothing of it; the stranger is signed in and no more; nobody is signed out; the admin has the role, and owns nothing.
//     Where a path names nothing (`/api/users/me`), each acts on what is his own. `*`: whatever comes of it, he is let in.
//   - the thing (`things.mjs`): makes what the path names; it is made once for a row and asked for in the order nobody,
//     stranger, admin, guest, owner, so that those who are refused come first. `each(thing)` makes it anew for everyone: for what is
//     gone, or done, after the first who may.
//   - ask: what else goes with the request, as a value or a function of the thing and of who asks: `json`, `form`, `query`,
//     `headers`, `body`.
// A route may have several rows, of things that differ: a public character and a private one.

import * as things from './things.mjs';

export const COLUMNS = ['owner', 'guest', 'stranger', 'nobody', 'admin'];

const row = (route, columns, thing = things.nothing, ask = {}) => {
  const [method, path] = route.split(/\s+/);
  const expected = columns.trim().split(/\s+/);
  if (expected.length !== COLUMNS.length) throw new Error(`${route} needs ${COLUMNS.length} columns: ${columns}`);
  return { route: `${method} ${path}`, method, path, expected: Object.fromEntries(COLUMNS.map((name, i) => [name, expected[i]])), thing, ask };
};

const {
  account, album, board, call, character, complaint, conversation, deleted, device, each, face, hidden, image, invitation, loose, nothing, part,
  person, persona, said, shared, sketch, stray, withdrawn,
} = things;
const text = (more) => ({ type: 'text', text: 'Let me in', clientId: crypto.randomUUID(), ...more });
const reason = 'As the test wants.';

/** What is everyone's, and what is each one's own. */
const OPEN = '200 200 200 200 200';
const OWN = '200 200 200 401 200';
const ADMINS = '403 403 403 401 200';

export const ROUTES = [
  //                                                   owner guest stranger nobody admin
  row('POST   /api/auth/register', '201 201 201 201 201', nothing, () => ({ json: things.registration() })),
  row('POST   /api/auth/login', OPEN, person, (of) => ({ json: { login: of.username, password: things.password } })),
  row('POST   /api/auth/logout', '204 204 204 401 204', each(account)),
  row('GET    /api/auth/me', OWN),
  row('POST   /api/auth/password', '204 204 204 401 204', each(account), { json: { current: things.password, new: 'another horse' } }),
  row('POST   /api/auth/email', '200 200 200 401 200', each(account), () => ({ json: { email: things.registration().email, password: things.password } })),
  row('POST   /api/auth/email/confirm', '422 422 422 422 422', nothing, { json: { token: 'none of ours' } }),
  row('POST   /api/auth/email/resend', '503 503 503 401 503'),
  row('POST   /api/auth/password/forgot', '204 204 204 204 204', person, (of) => ({ json: { login: of.username } })),
  row('POST   /api/auth/password/reset', '422 422 422 422 422', nothing, { json: { token: 'none of ours', password: 'another horse' } }),
  row('GET    /api/auth/sessions', OWN),
  row('DELETE /api/auth/sessions/{id}', '204 404 404 401 404', device),
  row('GET    /api/auth/usage', OWN),
  row('GET    /api/auth/usage/{characterId}', OWN, character),
  row('GET    /api/mail/notices', OWN),
  row('PUT    /api/mail/notices', OWN, nothing, { json: { replyWaiting: true, usage: true } }),
  row('GET    /api/mail/unsubscribe', '303 303 303 303 303', nothing, { query: 'token=none' }),
  row('POST   /api/mail/unsubscribe', '422 422 422 422 422', nothing, { query: 'token=none' }),

  row('GET    /api/users/{uid}', OWN, person),
  row('GET    /api/users/by-username/{username}', OWN, person),
  row('PATCH  /api/users/me', OWN, nothing, { json: {} }),
  row('DELETE /api/users/me', '204 204 204 401 204', each(account)),
  row('GET    /api/users/me/export', OWN),
  row('PUT    /api/users/me/preferences', OWN, nothing, { json: { theme: 'dark' } }),
  row('GET    /api/users/me/preferences', OWN),
  row('GET    /api/users/me/blocks', OWN),
  row('PUT    /api/users/me/blocks/{userId}', '204 204 204 401 204', person),
  row('DELETE /api/users/me/blocks/{userId}', '204 204 204 401 204', person),
  row('GET    /api/users/me/personas', OWN),
  row('POST   /api/users/me/personas', '201 201 201 401 201', nothing, { json: { name: 'Captain' } }),
  row('PATCH  /api/users/me/personas/{id}', '200 404 404 401 404', persona, { json: { name: 'Mine' } }),
  row('DELETE /api/users/me/personas/{id}', '204 404 404 401 404', persona),
  row('PUT    /api/drafts/{key}', OWN, () => ({ key: 'form' }), { json: { step: 1 } }),
  row('GET    /api/drafts/{key}', OWN, () => ({ key: 'form' })),
  row('DELETE /api/drafts/{key}', '204 204 204 401 204', () => ({ key: 'form' })),
  row('POST   /api/reports', '201 201 404 401 404', said, (of) => ({ json: { kind: 'reply', id: of.replyId, conversationId: of.id, reason: 'other' } })),
  row('POST   /api/reports', '201 201 201 401 201', character, (of) => ({ json: { kind: 'character', id: of.id, reason: 'spam' } })),
  row('POST   /api/reports', '201 404 404 401 404', hidden, (of) => ({ json: { kind: 'character', id: of.id, reason: 'spam' } })),

  row('GET    /api/characters', OWN),
  row('POST   /api/characters', '201 201 201 401 201', nothing, { json: { name: 'Nora' } }),
  row('POST   /api/characters/import', '201 201 201 401 201', nothing, () => ({ form: things.card() })),
  row('GET    /api/characters/tags', OWN),
  row('GET    /api/characters/{id}', OWN, character),
  row('GET    /api/characters/{id}', '200 404 404 401 404', hidden),
  // Who talks with it sees its name and picture, in the conversation.
  row('GET    /api/characters/{id}', '200 404 404 401 404', shared),
  row('PATCH  /api/characters/{id}', '200 404 404 401 404', character, { json: { name: 'Mine' } }),
  row('PATCH  /api/characters/{id}', '200 404 404 401 404', hidden, { json: { name: 'Mine' } }),
  row('DELETE /api/characters/{id}', '204 404 404 401 404', character),
  row('DELETE /api/characters/{id}', '204 404 404 401 404', hidden),
  row('GET    /api/characters/{id}/export', OWN, character),
  row('GET    /api/characters/{id}/export', '200 404 404 401 404', hidden),
  row('GET    /api/characters/{id}/gallery', OWN, album),
  row('GET    /api/characters/{id}/gallery', '200 404 404 401 404', hidden),
  // Who talks with it sees its faces.
  row('GET    /api/characters/{id}/gallery', '200 200 404 401 404', shared),
  row('POST   /api/characters/{id}/gallery', '201 404 404 401 404', album, (of) => ({ json: { uploadId: of.uploadId } })),
  row('PATCH  /api/characters/{id}/gallery/{mediaId}', '200 404 404 401 404', album, { json: { caption: 'Mine' } }),
  row('DELETE /api/characters/{id}/gallery/{mediaId}', '204 404 404 401 404', album),
  row('GET    /api/search', OWN, nothing, { query: 'q=canary' }),

  row('GET    /api/conversations', OWN),
  row('POST   /api/conversations', '201 201 201 401 201', character, (of) => ({ json: { characterId: of.id } })),
  row('POST   /api/conversations/import', '201 201 201 401 201', character, (of) => ({ query: `characterId=${of.id}`, form: things.chat() })),
  row('POST   /api/conversations/import', '201 404 404 401 404', hidden, (of) => ({ query: `characterId=${of.id}`, form: things.chat() })),
  row('GET    /api/conversations/{id}/export', '200 200 404 401 404', conversation),
  row('POST   /api/conversations', '201 404 404 401 404', hidden, (of) => ({ json: { characterId: of.id } })),
  row('GET    /api/conversations/{id}', '200 200 404 401 404', conversation),
  row('PATCH  /api/conversations/{id}', '200 403 404 401 404', conversation, { json: { title: 'Mine' } }),
  row('DELETE /api/conversations/{id}', '204 403 404 401 404', conversation),
  row('POST   /api/conversations/{id}/cancel', '202 202 404 401 404', conversation),
  row('POST   /api/conversations/{id}/restore', '200 404 404 401 404', deleted),
  row('PUT    /api/conversations/{id}/read', '200 200 404 401 404', conversation, { json: { seq: 1 } }),
  row('GET    /api/conversations/{id}/persona', '200 200 404 401 404', conversation),
  row('PUT    /api/conversations/{id}/persona', '200 200 404 401 404', conversation, { json: { personaId: null } }),
  row('GET    /api/conversations/{id}/personas', '200 200 404 401 404', conversation),
  row('GET    /api/conversations/{id}/invites', '200 403 404 401 404', conversation),
  row('POST   /api/conversations/{id}/invites', '201 403 404 401 404', conversation, { json: {} }),
  row('DELETE /api/conversations/{id}/invites/{inviteId}', '204 403 404 401 404', invitation),
  // A link is for whoever holds it.
  row('GET    /api/invites/{token}', OWN, invitation),
  row('POST   /api/invites/{token}', OWN, each(invitation)),
  row('GET    /api/conversations/{id}/members', '200 200 404 401 404', conversation),
  row('POST   /api/conversations/{id}/members', '200 403 404 401 404', conversation, (of, who, world) => ({ json: { userId: world.stranger.id } })),
  row('DELETE /api/conversations/{id}/members', '204 204 404 401 404', each(conversation), (of, who, world) => ({ json: { userId: world.guest.id } })),
  row('GET    /api/conversations/{id}/messages', '200 200 404 401 404', conversation),
  row('POST   /api/conversations/{id}/messages', '202 202 404 401 404', conversation, () => ({ json: text() })),
  // On the reply to a message decides who asked, and the owner.
  row('DELETE /api/conversations/{id}/messages/{messageId}', '204 403 404 401 404', each(said)),
  row('POST   /api/conversations/{id}/branch', '201 201 404 401 404', said, (of) => ({ json: { messageId: of.messageId } })),
  row('PATCH  /api/conversations/{id}/messages/{messageId}', '202 409 404 401 404', each(said), { json: { text: 'In other words' } }),
  row('PATCH  /api/conversations/{id}/messages/{messageId}', '202 403 404 401 404', said, (of) => ({ messageId: of.replyId, json: { text: 'In other words' } })),
  row('POST   /api/conversations/{id}/messages/{messageId}/continue', '202 403 404 401 404', each(said), (of) => ({ messageId: of.replyId })),
  row('POST   /api/conversations/{id}/messages/{messageId}/regenerate', '202 403 404 401 404', each(said), (of) => ({ messageId: of.replyId })),
  row('POST   /api/conversations/{id}/messages/{messageId}/retry', '409 403 404 401 404', said),
  row('PUT    /api/conversations/{id}/messages/{messageId}/variant', '422 403 404 401 404', said, (of) => ({ messageId: of.replyId, json: { selected: 7 } })),
  row('GET    /api/conversations/{id}/state', '200 200 404 401 404', conversation),

  row('POST   /api/uploads', '201 201 201 401 201', nothing, () => ({ form: things.picture() })),
  row('GET    /api/uploads/{id}', '200 404 404 401 404', loose),
  row('DELETE /api/uploads/{id}', '204 404 404 401 404', loose),
  row('OPTIONS /api/uploads/tus', '204 204 204 204 204'),
  row('POST   /api/uploads/tus', '201 201 201 401 201', nothing, { headers: { 'tus-resumable': '1.0.0', 'upload-length': '9' } }),
  row('HEAD   /api/uploads/tus/{id}', '200 404 404 401 404', part, { headers: { 'tus-resumable': '1.0.0' } }),
  row('PATCH  /api/uploads/tus/{id}', '204 404 404 401 404', part, {
    headers: { 'tus-resumable': '1.0.0', 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }, body: 'abc',
  }),
  row('DELETE /api/uploads/tus/{id}', '204 404 404 401 404', part, { headers: { 'tus-resumable': '1.0.0' } }),
  row('GET    /media/{uploadId}/{variant}', '200 200 404 401 404', image),
  row('GET    /media/{uploadId}/{variant}', '200 404 404 401 404', stray),
  row('GET    /media/{uploadId}/{variant}', '200 200 404 401 404', face),
  row('GET    /media/{uploadId}/{variant}', '200 404 404 401 404', sketch),
  // Of a character that was taken down; operators go on looking.
  row('GET    /media/{uploadId}/{variant}', '200 200 404 401 200', withdrawn),

  row('GET    /api/admin/ai/usage', ADMINS),
  row('GET    /api/admin/reports', ADMINS),
  row('GET    /api/admin/complaints', ADMINS),
  row('PATCH  /api/admin/complaints/{id}', ADMINS, complaint, { json: { state: 'closed', resolution: reason } }),
  row('PATCH  /api/admin/characters/{id}', ADMINS, character, { json: { unlisted: true, reason } }),
  row('GET    /api/admin/users', ADMINS, nothing, { query: 'q=canary' }),
  row('PATCH  /api/admin/users/{id}', ADMINS, person, { json: { suspended: true, reason } }),
  row('GET    /api/admin/audit', ADMINS),

  row('GET    /api/config', OPEN),
  row('GET    /api/openapi.json', OPEN),
  row('GET    /health', OPEN),
  row('GET    /health/live', OPEN),
  row('GET    /health/ready', OPEN),
  row('GET    /metrics', OPEN),

  // Outside of the OpenAPI document.
  row('GET    /docs', OPEN),
  row('GET    /docs/{file}', OPEN, () => ({ file: 'docs.js' })),
  row('GET    /demo/avatars/{file}', OPEN, () => ({ file: 'folio.svg' })),
  // There in development alone.
  row('GET    /dev/mails', '404 404 404 404 404'),
  row('GET    /dev/mails/{name}', '404 404 404 404 404', () => ({ name: 'one' })),
  row('GET    /dev/mails/{name}/html', '404 404 404 404 404', () => ({ name: 'one' })),
  row('GET    /dev/mails/{name}/raw', '404 404 404 404 404', () => ({ name: 'one' })),
  row('GET    /admin', '403 403 403 401 200'),
  row('GET    /admin/', '403 403 403 401 200'),
  row('GET    /admin/{*rest}', '403 403 403 401 200', () => ({ rest: 'people' })),
  // To others than admins the board of the queues does not exist.
  ...[
    'GET /admin/queues', 'GET /admin/queues/', 'GET /admin/queues/metrics-history', 'GET /admin/queues/job-schedulers',
    'GET /admin/queues/queue/{queue}', 'GET /admin/queues/queue/{queue}/{job}',
    'GET /admin/queues/api/queues', 'GET /admin/queues/api/redis/stats', 'GET /admin/queues/api/job-schedulers',
    'GET /admin/queues/api/queues/{queue}/metrics', 'GET /admin/queues/api/queues/{queue}/default-job-options',
    'GET /admin/queues/api/queues/{queue}/job-data-schema', 'GET /admin/queues/api/queues/{queue}/workers',
    'GET /admin/queues/api/queues/{queue}/rate-limit', 'PUT /admin/queues/api/queues/{queue}/rate-limit',
    'PUT /admin/queues/api/queues/{queue}/rate-limit/release', 'POST /admin/queues/api/queues/{queue}/add',
    'PUT /admin/queues/api/queues/{queue}/promote',
    'PUT /admin/queues/api/queues/{queue}/empty', 'PUT /admin/queues/api/queues/{queue}/obliterate',
    'PUT /admin/queues/api/queues/{queue}/concurrency', 'PUT /admin/queues/api/queues/{queue}/retry/{status}',
    'PUT /admin/queues/api/queues/{queue}/clean/{status}', 'PATCH /admin/queues/api/queues/{queue}/job-schedulers/{schedule}',
    'PUT /admin/queues/api/queues/{queue}/job-schedulers/{schedule}/remove',
    'PUT /admin/queues/api/queues/{queue}/job-schedulers/{schedule}/run', 'GET /admin/queues/api/queues/{queue}/{job}',
    'GET /admin/queues/api/queues/{queue}/{job}/logs', 'GET /admin/queues/api/queues/{queue}/{job}/flow',
    'PUT /admin/queues/api/queues/{queue}/{job}/retry', 'PUT /admin/queues/api/queues/{queue}/{job}/promote',
    'PUT /admin/queues/api/queues/{queue}/{job}/clean', 'PATCH /admin/queues/api/queues/{queue}/{job}/update-data',
    'PATCH /admin/queues/api/queues/{queue}/{job}/delay', 'PATCH /admin/queues/api/queues/{queue}/{job}/priority',
    'PUT /admin/queues/api/queues/{queue}/{job}/remove-unprocessed-children',
    // In this order: nothing is answered while they are paused.
    'PUT /admin/queues/api/queues/{queue}/pause', 'PUT /admin/queues/api/queues/{queue}/resume',
    'PUT /admin/queues/api/queues/pause', 'PUT /admin/queues/api/queues/resume',
  ].map((route) => row(route, '404 404 404 401 *', board)),
  // Nor is there anything here for them.
  row('GET    /admin/queues/static/{*file}', '404 404 404 401 404', board),
  row('GET    /admin/queues/{*rest}', '404 404 404 401 404', board),
];

/** What comes of a socket event: `ok`, or the code of its refusal; `nobody` is refused at the handshake. */
export const EVENTS = [
  //                               owner guest stranger nobody          admin
  row('EVENT connect', 'ok ok ok unauthenticated ok'),
  row('EVENT conversation:join', 'ok ok not_found unauthenticated not_found', conversation),
  row('EVENT conversation:leave', 'ok ok ok unauthenticated ok', conversation),
  row('EVENT message:send', 'ok ok not_found unauthenticated not_found', conversation, () => ({ json: text() })),
  row('EVENT message:cancel', 'ok ok not_found unauthenticated not_found', conversation),
  row('EVENT conversation:read', 'ok ok not_found unauthenticated not_found', conversation, { json: { seq: 1 } }),
  // For those who are in the room.
  row('EVENT typing', 'ok ok not_found unauthenticated not_found', conversation, { json: { typing: true }, joins: true }),
];

/**
 * What is told reaches those whom it concerns, and no one else. In these tests the owner acts, in front of everyone's sockets: those in
 * the room, and one of each person elsewhere. `conversation:resync` is the one that is left out: it says that something was lost.
 */
export const TOLD = [
  // To those in the room.
  row('TOLD message:new', 'heard heard silence silence silence', call),
  row('TOLD message:updated', 'heard heard silence silence silence', call),
  row('TOLD message:removed', 'heard heard silence silence silence', call),
  row('TOLD reply:start', 'heard heard silence silence silence', call),
  row('TOLD reply:delta', 'heard heard silence silence silence', call),
  row('TOLD reply:error', 'heard heard silence silence silence', call),
  row('TOLD conversation:state', 'heard heard silence silence silence', call),
  row('TOLD conversation:updated', 'heard heard silence silence silence', call),
  row('TOLD typing', 'heard heard silence silence silence', call),
  // To each member, wherever they look.
  row('TOLD conversation:activity', 'heard heard silence silence silence', call),
  row('TOLD conversation:added', 'silence heard silence silence silence', call),
  row('TOLD conversation:removed', 'heard heard silence silence silence', call),
  // The pictures of the character: to those who talk with it, and to its owner wherever they are.
  row('TOLD gallery:updated', 'heard heard silence silence silence', call),
  // To the one who sent, read, uploaded, filled in or set.
  row('TOLD usage:updated', 'heard silence silence silence silence', call),
  row('TOLD conversation:read', 'heard silence silence silence silence', call),
  row('TOLD upload:updated', 'heard silence silence silence silence', call),
  row('TOLD draft:updated', 'heard silence silence silence silence', call),
  row('TOLD preferences:updated', 'heard silence silence silence silence', call),
];
