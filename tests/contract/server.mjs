// What is under test: the real binary with a data folder of its own, stopped or killed, and started again on the same
// data. It is one server on SQLite; with CONTRACT_OVER=postgres it is one on PostgreSQL, and with CONTRACT_OVER=fleet it is
// two servers and two workers over one PostgreSQL and one Redis, with each client on another server.

import { Fleet } from '../fleet/fleet.mjs';
import { Person, request } from './client.mjs';

/** Everybody's. */
export const password = 'correct horse';

const over = process.env.CONTRACT_OVER ?? 'sqlite';
if (!['sqlite', 'postgres', 'fleet'].includes(over)) throw new Error(`CONTRACT_OVER is ${over}`);
const overFleet = over === 'fleet';

/** What is at once at one server takes this long to be so at the others as well, in ms. */
export const atOnce = overFleet ? 1_000 : 0;

export class Server {
  #people = [];
  /** Where clients come in. */
  #doors = [];
  /** Those that give replies: they are killed, ended and started. */
  #mortal = [];
  #turn = 0;

  /**
   * A running server with a model. `env` overrides settings; `of` shares the data, the model and the settings of
   * another server. Rate limits and usage are lifted unless `env` says otherwise.
   */
  static async start({ env = {}, of } = {}) {
    const server = new Server();
    server.owner = !of;
    if (of) {
      server.fleet = of.fleet;
      server.#doors = [await of.fleet.addServer(env)];
      server.#mortal = server.#doors;
    } else if (overFleet) {
      // The second server answers no messages, so that all who do can be killed and it goes on.
      server.fleet = await Fleet.start({ servers: 1, workers: 2, network: false, env });
      const { servers, workers } = server.fleet;
      server.#mortal = [...servers, ...workers];
      server.#doors = [...servers, await server.fleet.addServer({ AIM_WORKERS__ENABLED: 'false' })];
    } else {
      server.fleet = await Fleet.start({ servers: 1, workers: 0, redis: false, store: over, env });
      server.#doors = [...server.fleet.servers];
      server.#mortal = server.#doors;
    }
    return server;
  }

  get model() {
    return this.fleet.model;
  }

  /** Where calls without an account go. */
  get url() {
    return this.#doors[0].url;
  }

  get log() {
    return this.fleet.processes.map(({ log }) => log).join('');
  }

  /** The power goes off wherever replies are given: nothing is said, nothing is tidied up. */
  async kill() {
    await Promise.all(this.#mortal.map((one) => one.kill()));
  }

  /** Starts what was killed or ended, and waits until it says that it is ready. */
  async run() {
    await Promise.all(this.#mortal.map((one) => one.start()));
  }

  /** Ends it as an operator would; rejects when it takes longer than its grace or ends in an error. */
  async end() {
    await Promise.all(this.#mortal.map((one) => one.end()));
  }

  /** Closes everything that a test opened, whatever state it is in. */
  async stop() {
    for (const person of this.#people) person.close();
    if (!this.owner) return;
    try {
      this.fleet.assertNobodyFell();
    } finally {
      await this.fleet.close();
    }
  }

  /** One call without an account. */
  api(method, where, body, headers) {
    return request(this, method, where, body, headers);
  }

  /** A new account, signed in; `headers` go with the call. */
  async register(headers) {
    const username = `p_${Math.random().toString(36).slice(2, 12)}`;
    const answer = await this.api('POST', '/api/auth/register', { email: `${username}@example.org`, username, password }, headers);
    if (answer.status !== 201) throw new Error(`registering: ${answer.status} ${JSON.stringify(answer.body)}`);
    return this.person(answer.body);
  }

  /** The same person with another session, or at another server. */
  person({ user, token }) {
    const person = new Person({ url: this.#nextUrl(), socketUrl: () => this.#nextUrl() }, user, token);
    this.#people.push(person);
    return person;
  }

  /** Clients come to the servers by turns. */
  #nextUrl() {
    this.#turn += 1;
    return this.#doors[this.#turn % this.#doors.length].url;
  }

  /** The administrator's command line, on this server's data; `input` is typed into it. */
  command(words, input) {
    return this.fleet.command(words, input);
  }
}
