// A real Redis of a test's own: nothing of the machine's configuration, nothing on disk unless asked.

import { execFile } from 'node:child_process';
import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Daemon } from './daemon.mjs';
import { leasePort } from './ports.mjs';

const run = promisify(execFile);
const missing = 'redis-server and redis-cli are needed; on Debian: apt-get install redis-server';

export class Redis extends Daemon {
  #bus;

  /**
   * A running server. `persistent`: what is written outlives `kill` and `restart`. `password`: nobody comes in without
   * it. `cluster`: it is to be a node of one, and needs a second port. `config`: more lines of `redis.conf` by name.
   */
  static async start({ persistent = false, password, cluster = false, config = {} } = {}) {
    const redis = new Redis('redis');
    redis.password = password;
    redis.lines = {
      bind: '127.0.0.1',
      'protected-mode': 'no',
      daemonize: 'no',
      save: '""',
      appendonly: persistent ? 'yes' : 'no',
      ...(password ? { requirepass: password } : {}),
      ...config,
    };
    await redis.lease();
    if (cluster) {
      redis.#bus = await leasePort();
      redis.busPort = redis.#bus.number;
      redis.lines['cluster-port'] = redis.busPort;
    }
    await redis.restart();
    return redis;
  }

  async close() {
    await super.close();
    this.#bus?.release();
  }

  /** `redis://[:password@]127.0.0.1:PORT` */
  get url() {
    return this.urlAt(this.port);
  }

  /** The same by another port: that of a proxy before it. */
  urlAt(port) {
    return `redis://${this.password ? `:${this.password}@` : ''}127.0.0.1:${port}`;
  }

  /** Kills it if it runs, and starts it again on the same port with what it had on disk. */
  async restart() {
    await this.kill();
    const lines = { port: this.port, dir: this.folder, unixsocket: this.#socket, ...this.lines };
    const file = path.join(this.folder, 'redis.conf');
    await writeFile(file, Object.entries(lines).map(([name, value]) => `${name} ${value}\n`).join(''));
    await this.run(['redis-server', file], async () => {
      const answer = await this.command('PING');
      if (answer !== 'PONG') throw new Error(answer);
    }).catch((error) => {
      throw error.message.includes('ENOENT') ? new Error(missing) : error;
    });
  }

  /** As `restart`, with nothing on disk. */
  async restartEmpty() {
    await this.kill();
    for (const name of await readdir(this.folder)) await rm(path.join(this.folder, name), { recursive: true });
    await this.restart();
  }

  /**
   * Runs one command past any proxy. Answers as `redis-cli` prints it: the items of a list line by line, nothing as the
   * empty text. Rejects with the server's own words when it refuses.
   */
  async command(...words) {
    const env = { ...process.env, ...(this.password ? { REDISCLI_AUTH: this.password } : {}) };
    // -e: a refusal is an exit code.
    const { stdout } = await run('redis-cli', ['-s', this.#socket, '-e', ...words.map(String)], { env, timeout: 5000 })
      .catch((error) => { throw new Error(error.stderr || error.stdout || error.message); });
    return stdout.replace(/\n$/, '');
  }

  /** Forgets all keys. */
  async flush() {
    await this.command('FLUSHALL');
  }

  get #socket() {
    return path.join(this.folder, 'redis.sock');
  }
}
