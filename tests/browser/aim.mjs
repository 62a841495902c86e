// Starts the real server on a free port with a data folder of its own. Nothing here skips: what is missing fails.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const root = resolve(import.meta.dirname, '../..');
const binary = resolve(process.env.AIM_BIN ?? join(root, 'target/debug/aim'));
const model = resolve(process.env.AIM_AI__LOCAL__MODEL_PATH ?? join(root, 'models/demo.gguf'));

/** `answers`: the built-in model has to be there too. */
export function requireProduct({ answers = true } = {}) {
  const missing = [
    [binary, 'the server; build it with: cargo build --features local-model'],
    ...(answers ? [[model, 'the demo model; fetch it with: make model']] : []),
  ].filter(([path]) => !existsSync(path));
  if (missing.length > 0) throw new Error(missing.map(([path, what]) => `${path} is missing: ${what}`).join('\n'));
}

/** A running server: `{ url, data, log(), command(…), stop() }`. `env` adds to its settings. */
export async function startAim(env = {}) {
  const port = await freePort();
  const data = await mkdtemp(join(tmpdir(), 'aim-browser-'));
  const child = spawn(binary, ['serve'], {
    cwd: root,
    env: {
      ...process.env,
      AIM_PROFILE: 'development',
      AIM_HTTP__PORT: String(port),
      AIM_DATA__DIR: data,
      AIM_AI__LOCAL__MODEL_PATH: model,
      // Tests send more than a person does; each limit has tests of its own.
      AIM_LIMITS__MULTIPLIER: '100',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (log = (log + text).slice(-20_000)));
  }
  const ended = new Promise((done) => child.once('exit', done));
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(late);
    await rm(data, { recursive: true, force: true });
  };
  try {
    await ready(url, child);
  } catch (error) {
    await stop();
    throw new Error(`${error.message}; the server said:\n${log}`);
  }
  /** Runs `aim …` beside it, on the same data; answers what it printed. */
  const command = async (...args) => {
    const settings = { ...process.env, AIM_DATA__DIR: data, ...env };
    return (await promisify(execFile)(binary, args, { cwd: data, env: settings })).stdout;
  };
  return { url, data, log: () => log, command, stop };
}

async function ready(url, child) {
  const until = Date.now() + 60_000;
  while (Date.now() < until) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    const answer = await fetch(`${url}/health/live`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error('the server did not answer within a minute');
}

function freePort() {
  return new Promise((found, failed) => {
    const probe = createServer();
    probe.once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
}
