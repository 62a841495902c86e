// People who talk while something breaks: over sockets and REST, at every server, in several conversations with several
// characters. As a good client does, they send again what was not acknowledged, under the same `clientId`, and join again
// after a disconnect with what they saw last. Everything is written down for `promises.mjs`.

import { setTimeout as sleep } from 'node:timers/promises';
import { Person, Socket, eventually, request } from '../../contract/client.mjs';

const password = 'correct horse';

/** A conversation, and all that was ever sent in it. */
class Talk {
  sent = [];
  /** What its reader heard, in its order: the `seq` of each message, from joining and from events. */
  heard = [];

  constructor(person, conversation) {
    Object.assign(this, { person, conversation });
  }

  get lastHeard() {
    return this.heard.reduce((last, seq) => Math.max(last, seq), 0);
  }
}

/** A message, from the first attempt to send it. */
class Sent {
  clientId = crypto.randomUUID();
  attempts = 0;

  constructor(talk, n) {
    Object.assign(this, { talk, n, marker: `m${n}`, text: `Tell me #m${n}` });
  }
}

export class Traffic {
  talks = [];
  people = [];
  /** What went wrong and should not have: refusals that no fault excuses. */
  refusals = [];
  #count = 0;
  #trickling;
  #under = new Set();
  #closed = false;

  /** People, characters and conversations; `people` of whom every fourth uses REST alone. */
  static async begin(fleet, { people = 12, characters = 12, talksEach = 3 } = {}) {
    const traffic = new Traffic();
    traffic.fleet = fleet;
    for (let i = 0; i < people; i += 1) traffic.people.push(await traffic.#register(i));
    const drafts = Array.from({ length: characters }, (_, i) => traffic.people[i % people].character({ name: `Mara ${i}` }));
    const cast = await Promise.all(drafts);
    await Promise.all(traffic.people.map(async (person, i) => {
      for (let n = 0; n < talksEach; n += 1) {
        const conversation = await person.conversation(cast[(i + n * 5) % characters]);
        person.talks.push(new Talk(person, conversation));
      }
      if (!person.restOnly) await traffic.#connect(person);
    }));
    traffic.talks = traffic.people.flatMap((person) => person.talks);
    // Somebody for himself, whose character has nobody else: his messages are never behind another's.
    const watcher = Object.assign(await traffic.#register(people), { restOnly: true });
    watcher.talks.push(new Talk(watcher, await watcher.conversation()));
    traffic.people.push(watcher);
    traffic.watched = watcher.talks[0];
    return traffic;
  }

  get sent() {
    return [...this.talks, this.watched].flatMap((talk) => talk.sent);
  }

  get acknowledged() {
    return this.sent.filter(({ id }) => id);
  }

  /** Sends one message in a conversation, until it is acknowledged. */
  async send(talk) {
    this.#count += 1;
    const message = new Sent(talk, this.#count);
    talk.sent.push(message);
    const delivery = this.#deliver(message);
    this.#under.add(delivery);
    await delivery.finally(() => this.#under.delete(delivery));
    return message;
  }

  /** `count` messages over all conversations, as fast as they are taken. */
  async burst(count) {
    const start = this.#count;
    await Promise.all(Array.from({ length: count }, (_, i) => this.send(this.talks[(start + i) % this.talks.length])));
  }

  /** A message every `ms` until `stop()`. */
  trickle(ms) {
    let next = 0;
    this.#trickling = setInterval(() => {
      next += 7;
      void this.send(this.talks[next % this.talks.length]);
    }, ms);
  }

  /** Nothing more is sent; waits until all that was sent is acknowledged. */
  async stop(ms = 60_000) {
    clearInterval(this.#trickling);
    const waiting = () => `${this.#under.size} acknowledgements`;
    await eventually(waiting, () => this.#under.size === 0, ms);
  }

  /** Acknowledged or about to be, and not answered: as the model sees it. */
  inFlight() {
    const ended = new Set(this.fleet.model.calls.filter(({ endedAt }) => endedAt).map(({ marker }) => marker));
    return this.sent.filter(({ marker }) => !ended.has(`#${marker}`)).length;
  }

  /** Also what was never acknowledged is given up. */
  close() {
    this.#closed = true;
    clearInterval(this.#trickling);
    for (const person of this.people) person.close();
  }

  async #register(i) {
    const { servers } = this.fleet;
    const { url } = servers[i % servers.length];
    const username = `t_${i}_${Math.random().toString(36).slice(2, 10)}`;
    const { status, body } = await request({ url }, 'POST', '/api/auth/register', { email: `${username}@example.org`, username, password });
    if (status !== 201) throw new Error(`registering: ${status} ${JSON.stringify(body)}`);
    const person = new Person({ url, socketUrl: () => url }, body.user, body.token);
    return Object.assign(person, { talks: [], restOnly: i % 4 === 3, index: i });
  }

  async #connect(person) {
    const quick = { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 500, randomizationFactor: 0.2, timeout: 5_000 };
    const socket = new Socket(person.server.url, { auth: { token: person.token }, ...quick });
    person.sockets.push(socket);
    person.line = socket;
    const byId = new Map(person.talks.map((talk) => [talk.conversation.id, talk]));
    const join = async (talk) => {
      // Where it is cut off in between, it comes back here.
      while (socket.io.connected) {
        const answer = await socket.join(talk.conversation, talk.lastHeard).catch(() => undefined);
        if (answer) {
          // What came as an event while this was asked for is told again, as it was asked for.
          talk.heard.push(...answer.messages.map(({ seq }) => seq).filter((seq) => !talk.heard.includes(seq)));
          return;
        }
        await sleep(100);
      }
    };
    socket.io.on('message:new', ({ message }) => byId.get(message.conversationId).heard.push(message.seq));
    socket.io.on('conversation:resync', ({ conversationId }) => join(byId.get(conversationId)));
    await socket.connected;
    for (const talk of person.talks) await join(talk);
    socket.io.on('connect', () => { for (const talk of person.talks) void join(talk); });
  }

  async #deliver(message) {
    const { talk, text, clientId } = message;
    const { person, conversation } = talk;
    while (!this.#closed) {
      message.attempts += 1;
      const began = performance.now();
      const answer = person.restOnly
        ? await this.#overRest(message)
        : await person.line.send(conversation, text, clientId).catch((error) => ({ error: { code: error.message } }));
      if (answer.message) {
        Object.assign(message, { id: answer.message.id, seq: answer.message.seq, tookMs: performance.now() - began });
        return;
      }
      // Nobody answered, or somebody said that he can not just now; anything else is a fault of its own.
      const excused = ['unavailable', 'nobody', 'socket has been disconnected', 'operation has timed out'];
      if (!excused.includes(answer.error?.code)) this.refusals.push({ marker: message.marker, ...answer });
      await sleep(100);
    }
  }

  async #overRest({ talk, n, text, clientId, attempts }) {
    const { person, conversation } = talk;
    const { servers } = this.fleet;
    const { url } = servers[(n + attempts) % servers.length];
    const where = `/api/conversations/${conversation.id}/messages`;
    try {
      const { status, body } = await request({ url }, 'POST', where, { type: 'text', text, clientId }, { authorization: `Bearer ${person.token}` });
      return status === 202 ? body : { error: { code: body.code, status } };
    } catch {
      return { error: { code: 'nobody' } };
    }
  }
}
