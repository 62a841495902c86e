// Our side of a shared queue: the example `queue_peer` of `crates/backbone`, driven line by line.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? path.join(here, '../../target');
const binary = process.env.AIM_QUEUE_PEER ?? path.join(target, 'debug/examples/queue_peer');

const running = new Set();
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });

export class Peer {
  /** What it ran, as it began. */
  runs = [];
  #child;
  #waiting = [];

  static async start(url, prefix = 'aim') {
    if (!existsSync(binary)) throw new Error(`${binary} is missing; build it with: cargo build -p aim-backbone --example queue_peer`);
    const peer = new Peer();
    const child = spawn(binary, [url, prefix], { stdio: ['pipe', 'pipe', 'inherit'] });
    running.add(child);
    peer.#child = child;
    const ready = new Promise((resolve, reject) => {
      child.once('exit', (code, signal) => {
        running.delete(child);
        const error = new Error(`queue_peer ended with ${code ?? signal}`);
        reject(error);
        for (const waiting of peer.#waiting.splice(0)) waiting.reject(error);
      });
      createInterface({ input: child.stdout }).on('line', (line) => {
        const said = JSON.parse(line);
        if (said.ready) resolve();
        else if (said.ran) peer.runs.push(said.ran);
        else peer.#waiting.shift().resolve(said.answer);
      });
    });
    await ready;
    return peer;
  }

  /** Gives one order and answers what came of it. */
  ask(what, queue, rest = {}) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ do: what, queue, ...rest })}\n`);
    });
  }

  ran(id) {
    return this.runs.filter((run) => run.id === id);
  }

  /** The power goes off. */
  async kill() {
    if (!running.has(this.#child)) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
