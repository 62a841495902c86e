// The real binary under test: started on a free port with a data folder of its own, stopped or killed by its pid, and
// started again on the same data.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Model } from './model.mjs';
import { Person, request } from './client.mjs';

/** Everybody's. */
export const password = 'correct horse';

const here = path.dirname(fileURLToPath(import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? path.join(here, '../../target');
const binary = process.env.AIM_BIN ?? path.join(target, 'debug/aim');

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

export class Server {
  #process;
  #log = [];
  #people = [];

  /**
   * A running server with a model. `env` overrides settings; `of` shares the data, the model and the settings of
   * another server. Rate limits and usage are lifted unless `env` says otherwise.
   */
  static async start({ env = {}, of } = {}) {
    const server = new Server();
    server.owner = !of;
    server.data = of?.data ?? (await mkdtemp(path.join(tmpdir(), 'aim-contract-')));
    server.model = of?.model ?? (await Model.start());
    server.port = await freePort();
    server.url = `http://127.0.0.1:${server.port}`;
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('AIM_'));
    server.env = {
      ...Object.fromEntries(inherited),
      AIM_PROFILE: 'production',
      AIM_LIMITS__MULTIPLIER: '100000',
      AIM_USAGE__MULTIPLIER: '100000',
      AIM_AI__PROVIDER: 'openai',
      AIM_AI__BASE_URL: server.model.url,
      AIM_AI__MODEL: 'stub',
      AIM_AI__API_KEY: 'none',
      ...of?.overrides,
      ...env,
      AIM_DATA__DIR: server.data,
      AIM_HTTP__HOST: '127.0.0.1',
      AIM_HTTP__PORT: String(server.port),
    };
    server.overrides = { ...of?.overrides, ...env };
    await server.run();
    return server;
  }

  /** Starts the process, and waits until it says that it is ready. */
  async run() {
    const child = spawn(binary, ['serve'], { cwd: this.data, env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding('utf8').on('data', (text) => { this.#log = [...this.#log, text].slice(-500); });
    }
    const deadline = Date.now() + 20_000;
    while (Date.now() < deadline && child.exitCode === null) {
      const answer = await fetch(`${this.url}/health/ready`).catch(() => undefined);
      if (answer?.status === 200) return;
      await sleep(25);
    }
    child.kill('SIGKILL');
    throw new Error(`the server did not become ready:\n${this.log}`);
  }

  get log() {
    return this.#log.join('');
  }

  /** The power goes off: nothing is said, nothing is tidied up. */
  async kill() {
    await this.#end('SIGKILL');
  }

  /** Ends it as an operator would; rejects when it takes longer than its grace or ends in an error. */
  async end() {
    const code = await this.#end('SIGTERM');
    if (code !== 0) throw new Error(`the server ended with ${code}:\n${this.log}`);
  }

  /** Closes everything that a test opened, whatever state it is in. */
  async stop() {
    for (const person of this.#people) person.close();
    this.model.release();
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const hard = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
      await this.#end('SIGTERM');
      clearTimeout(hard);
    }
    if (!this.owner) return;
    await this.model.stop();
    await rm(this.data, { recursive: true, force: true });
  }

  async #end(signal) {
    const exited = once(this.#process, 'exit');
    this.#process.kill(signal);
    const [code] = await exited;
    return code;
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
    const person = new Person(this, user, token);
    this.#people.push(person);
    return person;
  }

  /** The administrator's command line, on this server's data; `input` is typed into it. */
  async command(words, input = '') {
    const child = spawn(binary, words, { cwd: this.data, env: this.env, stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
    child.stdin.end(`${input}\n`);
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`aim ${words.join(' ')} ended with ${code}: ${said}`);
  }
}
