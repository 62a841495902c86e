// Servers and workers of a test's own, over one database and one Redis, with a stub for the model. Each process reaches
// Redis through a network of its own, so that each can be cut off alone. One server on SQLite, without Redis, is the
// smallest fleet.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Model } from '../contract/model.mjs';
import { RedisCluster } from '../lib/cluster.mjs';
import { Daemon } from '../lib/daemon.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { Redis } from '../lib/redis.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? path.join(here, '../../target');
const binary = process.env.AIM_BIN ?? path.join(target, 'debug/aim');

/** One PostgreSQL for all fleets of this process, a database for each; it goes a moment after the last of them. */
let postgres;
let databases = 0;
let leaving;
let guests = 0;

async function enterPostgres() {
  clearTimeout(leaving);
  guests += 1;
  postgres ??= Postgres.start({ config: { max_connections: 500 } });
  return postgres;
}

function leavePostgres() {
  guests -= 1;
  if (guests > 0) return;
  leaving = setTimeout(async () => {
    const last = postgres;
    postgres = undefined;
    await (await last).close();
  }, 500);
}

let logs;
/** Where processes write what they say; it is left behind when a test fails. */
function logFolder() {
  logs ??= mkdtempSync(path.join(tmpdir(), 'aim-fleet-logs-'));
  return logs;
}
process.on('exit', (code) => {
  if (!logs) return;
  if (code === 0) rmSync(logs, { recursive: true, force: true });
  else console.error(`what the processes said is in ${logs}`);
});

/** One `aim serve` or `aim worker`. */
export class Process extends Daemon {
  #said = '';
  #file;

  constructor(name, verb, env, proxies) {
    super(name);
    Object.assign(this, { verb, env, proxies });
    this.logPath = path.join(logFolder(), `${name}-${process.pid}.log`);
    this.#file = createWriteStream(this.logPath, { flags: 'a' });
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The network between this process and Redis. */
  get network() {
    return this.proxies.redis;
  }

  heard(text) {
    super.heard(text);
    this.#file.write(text);
    if (!this.#said.includes('"working"')) this.#said += text;
  }

  /** Starts it, for the first time or again, on the same port. */
  async start() {
    if (!existsSync(binary)) throw new Error(`${binary} is missing; build it with: cargo build -p aim-server`);
    this.#said = '';
    await this.run([binary, this.verb], async () => {
      if (this.verb === 'worker') return assert.match(this.#said, /"working"/);
      const { status } = await fetch(`${this.url}/health/ready`);
      return assert.equal(status, 200);
    }, this.env);
  }

  /** Ends it as an operator would; rejects when it ends in an error. */
  async end() {
    const how = await super.end();
    assert.equal(how, 0, `${this.name} ended with ${how}; its log: ${this.logPath}`);
  }

  /** A figure of `/metrics`: the sum over all series of this name whose labels hold `labels`. */
  async metric(name, labels = '') {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const lines = text.split('\n').filter((line) => /^[{ ]/.test(line.slice(name.length)) && line.startsWith(name) && line.includes(labels));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async health() {
    return (await fetch(`${this.url}/health`)).json();
  }

  async close() {
    await super.close();
    this.#file.end();
    for (const proxy of Object.values(this.proxies)) await proxy.close();
  }
}

export class Fleet {
  servers = [];
  workers = [];
  /** Those that serve one use alone, by its name. */
  redisOf = {};

  /**
   * `redis`: false, or the options of the one Redis; `network`: false where it is reached without one in between, for
   * tests that keep this process so busy that it would delay what it forwards; `apart`: uses that have a Redis of their
   * own, of `cache`, `queue`, `bus`, which is reached like this as well; `cluster`: a Redis Cluster in its place, the same.
   * `store`: `postgres` or `sqlite`. `env` is of every process, `server` and
   * `worker` of each kind.
   * `watchStore`: PostgreSQL is reached through a network as well. Rate limits and usage are lifted unless `env` says
   * otherwise.
   */
  static async start({ servers = 2, workers = 2, redis = {}, network = true, apart = [], cluster = false, store = 'postgres', env = {}, server = {}, worker = {}, watchStore = false } = {}) {
    const fleet = new Fleet();
    try {
      fleet.data = await mkdtemp(path.join(tmpdir(), 'aim-fleet-'));
      fleet.model = await Model.start();
      Object.assign(fleet, { overrides: env, ofServers: server, ofWorkers: worker, network, watchStore });
      if (cluster) fleet.cluster = await RedisCluster.start();
      else if (redis) fleet.redis = await Redis.start(redis);
      for (const use of apart) fleet.redisOf[use] = await Redis.start(redis);
      if (store === 'postgres') {
        fleet.postgres = await enterPostgres();
        databases += 1;
        fleet.database = `fleet_${databases}`;
        await fleet.postgres.createDatabase(fleet.database);
      }
      // One after the other at first: the first brings the database to its form.
      for (let i = 0; i < servers; i += 1) await fleet.addServer();
      await Promise.all(Array.from({ length: workers }, () => fleet.addWorker()));
    } catch (error) {
      await fleet.close();
      throw error;
    }
    return fleet;
  }

  async addServer(env = {}) {
    const server = await this.#process(`server-${this.servers.length + 1}`, 'serve', { ...this.ofServers, ...env });
    this.servers.push(server);
    await server.start();
    return server;
  }

  async addWorker(env = {}) {
    const worker = await this.#process(`worker-${this.workers.length + 1}`, 'worker', { ...this.ofWorkers, ...env });
    this.workers.push(worker);
    await worker.start();
    return worker;
  }

  get processes() {
    return [...this.servers, ...this.workers];
  }

  async #process(name, verb, env) {
    const proxies = {};
    if (this.redis && this.network) proxies.redis = await Proxy.before(this.redis.port);
    if (this.postgres && this.watchStore) proxies.postgres = await Proxy.before(this.postgres.port);
    const one = new Process(name, verb, {}, proxies);
    await one.lease();
    one.env = { ...this.#env(proxies), ...this.overrides, ...env, AIM_DATA__DIR: this.data, AIM_HTTP__HOST: '127.0.0.1', AIM_HTTP__PORT: String(one.port) };
    return one;
  }

  #env(proxies = {}) {
    const redis = this.cluster?.url ?? (proxies.redis ? this.redis.urlAt(proxies.redis.port) : this.redis?.url);
    return {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AIM_'))),
      AIM_PROFILE: 'production',
      AIM_LIMITS__MULTIPLIER: '100000',
      AIM_USAGE__MULTIPLIER: '100000',
      AIM_AI__PROVIDER: 'openai',
      AIM_AI__BASE_URL: this.model.url,
      AIM_AI__MODEL: 'stub',
      AIM_AI__API_KEY: 'none',
      ...(redis ? { AIM_REDIS__URL: redis } : {}),
      ...Object.fromEntries(Object.entries(this.redisOf).map(([use, { url }]) => [`AIM_REDIS__${use.toUpperCase()}_URL`, url])),
      ...(this.postgres ? { AIM_DATABASE__URL: this.postgres.urlAt(proxies.postgres?.port ?? this.postgres.port, this.database) } : {}),
    };
  }

  /** The administrator's command line, on this fleet's data; `input` is typed into it. */
  async command(words, input = '') {
    const env = { ...this.#env(), ...this.overrides, AIM_DATA__DIR: this.data };
    const child = spawn(binary, words, { cwd: this.data, env, stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
    child.stdin.end(`${input}\n`);
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`aim ${words.join(' ')} ended with ${code}: ${said}`);
  }

  /** Runs one statement in the fleet's database. */
  query(sql) {
    return this.postgres.query(sql, this.database);
  }

  /** Whether the queue `ai-response` knows a job of this id, finished or not. */
  async knowsJob(id) {
    const redis = this.redisOf.queue ?? this.redis;
    if (redis) return (await redis.command('EXISTS', `aim:ai-response:${id}`)) === '1';
    const answers = await Promise.all((await this.cluster.serving()).map((node) => (
      node.command('EXISTS', `{aim}:ai-response:${id}`).catch(() => 'elsewhere')
    )));
    return answers.includes('1');
  }

  /** That every process still runs, or was ended by the test. */
  assertNobodyFell() {
    for (const one of this.processes) {
      assert.equal(one.fallen, undefined, `${one.name} ended by itself with ${one.fallen}; its log: ${one.logPath}`);
      assert.ok(!/panicked at/.test(one.log), `${one.name} panicked; its log: ${one.logPath}`);
    }
  }

  /** Ends everything in whatever state it is. */
  async close() {
    this.isClosed = true;
    this.model?.release();
    await Promise.all(this.processes.map((one) => one.close()));
    await this.model?.stop();
    await this.redis?.close();
    await Promise.all(Object.values(this.redisOf).map((redis) => redis.close()));
    await this.cluster?.close();
    if (this.postgres) leavePostgres();
    if (this.data) await rm(this.data, { recursive: true, force: true });
  }
}
