// A person at a keyboard: REST calls, and sockets of the official client that write down all they receive.

import { setTimeout as sleep } from 'node:timers/promises';
import { io } from 'socket.io-client';

/** `{status, headers, body}`; the body parsed when it is JSON of any kind. `body` may be text, sent as it is. */
export async function request(server, method, where, body, headers = {}) {
  const answer = await fetch(server.url + where, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    redirect: 'manual',
  });
  const text = await answer.text();
  const isJson = /[/+]json/.test(answer.headers.get('content-type') ?? '');
  return { status: answer.status, headers: answer.headers, body: isJson && text ? JSON.parse(text) : text };
}

/** Waits until `check` answers something true, and answers that; `what` may be a function, asked at the end. */
export async function eventually(what, check, ms = 10_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`did not come within ${ms} ms: ${typeof what === 'function' ? what() : what}`);
    await sleep(20);
  }
}

export class Person {
  sockets = [];

  /** `server`: where calls go, its `url`, and where the next socket goes, `socketUrl()`. */
  constructor(server, user, token) {
    Object.assign(this, { server, user, token, id: user.id });
  }

  api(method, where, body, headers) {
    return request(this.server, method, where, body, { authorization: `Bearer ${this.token}`, ...headers });
  }

  /** The body of a call that must succeed. */
  async must(method, where, body) {
    const answer = await this.api(method, where, body);
    if (answer.status >= 300) throw new Error(`${method} ${where}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async character(fields = {}) {
    const draft = { name: 'Mara', description: 'A captain.', visibility: 'public', ...fields };
    return (await this.must('POST', '/api/characters', draft)).character;
  }

  /** A conversation with `character`, or with a new one of this person's own. */
  async conversation(character) {
    const { id: characterId } = character ?? (await this.character());
    return (await this.must('POST', '/api/conversations', { characterId })).conversation;
  }

  /** Sends over REST; the whole answer. */
  send(conversation, text, clientId = crypto.randomUUID()) {
    return this.api('POST', `/api/conversations/${conversation.id}/messages`, { type: 'text', text, clientId });
  }

  async messages(conversation, query = '') {
    return (await this.must('GET', `/api/conversations/${conversation.id}/messages${query}`)).items;
  }

  /** The character's reply to the message with this id, once it is stored. */
  replyTo(conversation, messageId, ms) {
    return eventually(`the reply to ${messageId}`, async () => (
      (await this.messages(conversation, '?limit=100')).find((message) => message.inReplyTo === messageId)
    ), ms);
  }

  /** A connected socket; it has joined the conversations given. */
  async socket({ join = [], ...options } = {}) {
    const socket = new Socket(this.server.socketUrl(), { auth: { token: this.token }, ...options });
    this.sockets.push(socket);
    await socket.connected;
    for (const conversation of join) await socket.join(conversation);
    return socket;
  }

  close() {
    for (const socket of this.sockets) socket.close();
  }
}

export class Socket {
  /** All that came, in its order: `{event, payload, at}`. */
  seen = [];

  constructor(url, options) {
    this.io = io(url, { transports: ['websocket'], reconnection: false, forceNew: true, ...options });
    this.io.onAny((event, payload) => this.seen.push({ event, payload, at: Date.now() }));
    this.connected = new Promise((done, fail) => {
      this.io.on('connect', done);
      this.io.on('connect_error', fail);
    });
    this.disconnected = new Promise((done) => { this.io.on('disconnect', (reason) => done({ reason, at: Date.now() })); });
    this.connected.catch(() => {});
  }

  ask(event, payload, ms = 10_000) {
    return this.io.timeout(ms).emitWithAck(event, payload);
  }

  async join(conversation, afterSeq) {
    const answer = await this.ask('conversation:join', { conversationId: conversation.id, afterSeq });
    if (!answer.ok) throw new Error(`joining: ${JSON.stringify(answer)}`);
    return answer;
  }

  send(conversation, text, clientId = crypto.randomUUID()) {
    return this.ask('message:send', { conversationId: conversation.id, clientId, type: 'text', text });
  }

  of(event) {
    return this.seen.filter((one) => one.event === event).map((one) => one.payload);
  }

  /** The first payload of `event` that `matches`, had it come already or not. */
  until(event, matches = () => true, ms = 10_000) {
    return eventually(() => `${event}; came: ${this.#names()}`, () => this.of(event).find(matches), ms);
  }

  /** The reply to the message with this id, as it was announced. */
  async reply(messageId, ms = 15_000) {
    return (await this.until('message:new', ({ message }) => message.inReplyTo === messageId, ms)).message;
  }

  #names() {
    return this.seen.map((one) => one.event).join(' ') || 'nothing';
  }

  close() {
    this.io.close();
  }
}
