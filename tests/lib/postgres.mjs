// A real PostgreSQL of a test's own. As root it runs as the account `postgres`, since it refuses to run as root. It
// does not wait for the disk: that is for machines that lose their power, and no test cuts that.

import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Daemon } from './daemon.mjs';

const run = promisify(execFile);

/** Debian keeps the server's programs out of the path, by version. */
function programs() {
  const root = '/usr/lib/postgresql';
  let versions = [];
  try {
    versions = readdirSync(root).filter((name) => /^\d+$/.test(name)).sort((a, b) => b - a);
  } catch {
    // Another system: they are in the path, or missing.
  }
  return versions.length ? path.join(root, versions[0], 'bin') : '';
}

function account() {
  if (process.getuid() !== 0) return undefined;
  const line = readFileSync('/etc/passwd', 'utf8').split('\n').find((one) => one.startsWith('postgres:'));
  if (!line) throw new Error('PostgreSQL does not run as root, and there is no account `postgres`');
  const [, , uid, gid] = line.split(':').map(Number);
  return { uid, gid };
}

export class Postgres extends Daemon {
  #programs = programs();

  /** A running server with an empty database `aim`. `config`: settings by name. */
  static async start({ config = {} } = {}) {
    const postgres = new Postgres('postgres', account());
    postgres.settings = { fsync: 'off', listen_addresses: '127.0.0.1', unix_socket_directories: postgres.folder, ...config };
    await postgres.lease();
    const words = ['--auth', 'trust', '--username', 'aim', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'];
    await run(postgres.#program('initdb'), ['--pgdata', postgres.#data, ...words], { ...postgres.account, cwd: postgres.folder })
      .catch((error) => {
        throw error.code === 'ENOENT' ? new Error('PostgreSQL is needed; on Debian: apt-get install postgresql') : error;
      });
    await postgres.restart();
    await postgres.createDatabase('aim');
    return postgres;
  }

  /** `postgres://aim@127.0.0.1:PORT/aim` */
  get url() {
    return this.urlAt(this.port);
  }

  /** The same by another port, that of a proxy before it, or of another database. */
  urlAt(port, database = 'aim') {
    return `postgres://aim@127.0.0.1:${port}/${database}`;
  }

  /** One more database, with nothing in it; answers its address. */
  async createDatabase(name) {
    await this.query(`CREATE DATABASE "${name}"`, 'postgres');
    return this.urlAt(this.port, name);
  }

  /** Kills it if it runs, and starts it again on the same port with all that was committed. */
  async restart() {
    await this.kill();
    const settings = { port: this.port, ...this.settings };
    const words = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    await this.run([this.#program('postgres'), '-D', this.#data, ...words], () => this.query('SELECT 1', 'postgres'));
  }

  /** Runs one statement past any proxy; answers rows line by line, columns parted by `|`. */
  async query(sql, database = 'aim') {
    const words = ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-h', this.folder, '-p', String(this.port), '-U', 'aim'];
    const { stdout } = await run(this.#program('psql'), [...words, '-d', database, '-c', sql], { timeout: 10_000 })
      .catch((error) => { throw new Error(error.stderr || error.message); });
    return stdout.replace(/\n$/, '');
  }

  /** The postmaster, and the processes that serve one connection each or do its work in the background. */
  async pids() {
    if (!this.pid) return [];
    const children = await readFile(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').catch(() => '');
    return [this.pid, ...children.split(' ').filter(Boolean).map(Number)];
  }

  abandon() {
    // Those that serve a connection would go on writing into the folder for a moment.
    try {
      const children = this.pid ? readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8') : '';
      for (const pid of [this.pid, ...children.split(' ').filter(Boolean).map(Number)]) process.kill(pid, 'SIGKILL');
    } catch {
      // Gone meanwhile.
    }
    super.abandon();
  }

  get #data() {
    return path.join(this.folder, 'data');
  }

  #program(name) {
    return path.join(this.#programs, name);
  }
}
