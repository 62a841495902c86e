// A server process of a test's own, in a folder of its own, on a port of its own: started, killed, stopped and
// continued by its pid. What is run, and when it is ready, is said by those who extend this.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { leasePort } from './ports.mjs';

/** A start takes a part of a second; an overloaded machine gets this long. */
const patience = 20_000;

const open = new Set();
process.on('exit', () => { for (const daemon of open) daemon.abandon(); });
for (const [name, code] of [['SIGINT', 130], ['SIGTERM', 143]]) process.once(name, () => process.exit(code));

export class Daemon {
  /** How it ended without being told to: an exit code or a signal. */
  fallen;
  #child;
  #log = [];
  #lease;
  #told = false;

  /** `account` as whom it runs: `{uid, gid}`, or nothing for oneself. */
  constructor(name, account) {
    this.name = name;
    this.account = account;
    this.folder = mkdtempSync(path.join(tmpdir(), `aim-${name}-`));
    if (account) chownSync(this.folder, account.uid, account.gid);
    open.add(this);
  }

  async lease() {
    this.#lease = await leasePort();
    this.port = this.#lease.number;
  }

  /** Of the process that runs now; nothing when none does. */
  get pid() {
    return this.#child?.pid;
  }

  get log() {
    return this.#log.join('');
  }

  /** What it says, as it says it. */
  heard(text) {
    this.#log = [...this.#log, text].slice(-500);
  }

  /** Starts `words`, and waits until `ready` resolves; it rejects with the log when the process ends before. */
  async run(words, ready, env = process.env) {
    const child = spawn(words[0], words.slice(1), { ...this.account, env, cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const output of [child.stdout, child.stderr]) output.setEncoding('utf8').on('data', (text) => this.heard(text));
    let failure;
    child.once('error', (error) => { failure = error; });
    child.once('exit', (code, signal) => {
      failure ??= new Error(`it ended with ${code ?? signal}`);
      if (!this.#told) this.fallen = code ?? signal;
      if (this.#child === child) this.#child = undefined;
    });
    this.#child = child;
    this.#told = false;
    const deadline = Date.now() + patience;
    while (!failure && Date.now() < deadline) {
      try {
        await ready();
        return;
      } catch (error) {
        if (Date.now() >= deadline) failure = error;
        await sleep(5);
      }
    }
    await this.kill();
    throw new Error(`${this.name} did not start: ${failure?.message ?? 'it is not ready'}\n${this.log}`);
  }

  /** The processes that make up the server; the first is its parent. */
  async pids() {
    return this.pid ? [this.pid] : [];
  }

  /** The power goes off. */
  async kill() {
    const child = this.#child;
    if (!child?.pid) return;
    const exited = once(child, 'exit');
    this.#told = true;
    // Halted first, so that none starts another while they are counted.
    await this.stop();
    const pids = await this.pids();
    for (const pid of pids) signal(pid, 'SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await exited;
    await Promise.all(pids.map((pid) => until(pid, dead)));
  }

  /** Asks it to end (SIGTERM), and answers how it did. */
  async end() {
    const child = this.#child;
    const exited = once(child, 'exit');
    this.#told = true;
    child.kill('SIGTERM');
    const [code, how] = await exited;
    return code ?? how;
  }

  /** Halts it (SIGSTOP): connections stay open, new ones are accepted by the kernel, nothing is answered. */
  async stop() {
    const halt = (pid) => {
      signal(pid, 'SIGSTOP');
      return until(pid, (state) => dead(state) || state === 'T');
    };
    if (this.pid) await halt(this.pid);
    await Promise.all((await this.pids()).map(halt));
  }

  /** Lets it go on; it does what it was told meanwhile. */
  async cont() {
    for (const pid of await this.pids()) signal(pid, 'SIGCONT');
  }

  /** Ends it in whatever state it is, and removes its folder. */
  async close() {
    await this.kill();
    open.delete(this);
    this.#lease?.release();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The test's own process ends. */
  abandon() {
    if (this.pid) signal(this.pid, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** What the kernel says of a process: `T` is stopped, `Z` dead and not yet missed, nothing is gone. */
async function stateOf(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2)[0];
}

const dead = (state) => state === undefined || state === 'Z';

export const alive = async (pid) => !dead(await stateOf(pid));

async function until(pid, matches) {
  const deadline = Date.now() + patience;
  while (Date.now() < deadline) {
    if (matches(await stateOf(pid))) return;
    await sleep(1);
  }
  throw new Error(`process ${pid} does not heed its signal`);
}
