// How long requests take, at each server, before and while something breaks; beside each, how long one takes that needs
// nothing but the server, so that a busy machine is not mistaken for a slow answer.

import assert from 'node:assert/strict';
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** One request: `{at, ms, status}`. */
function ask(url, headers, agent) {
  const at = performance.now();
  return new Promise((done) => {
    const request = get(url, { agent, headers }, (response) => {
      response.resume();
      response.on('end', () => done({ at, ms: performance.now() - at, status: response.statusCode }));
    });
    request.on('error', (error) => done({ at, ms: performance.now() - at, status: error.code }));
  });
}

export class Probes {
  samples = [];
  #going = true;

  /** `lanes` requests at a time at each server, one after the other with a short pause in between. */
  static begin(servers, person, { lanes = 2, pauseMs = 20 } = {}) {
    const probes = new Probes();
    const agent = new Agent({ keepAlive: true });
    const lane = async (server) => {
      while (probes.#going) {
        // Its rate limit and the cached profile are in Redis.
        const sample = await ask(`${server.url}/api/users/${person.id}`, { authorization: `Bearer ${person.token}` }, agent);
        const yardstick = await ask(`${server.url}/health/live`, {}, agent);
        probes.samples.push({ server, ...sample, yardstick: yardstick.ms });
        await sleep(pauseMs);
      }
    };
    probes.done = Promise.all(servers.flatMap((server) => Array.from({ length: lanes }, () => lane(server))));
    probes.agent = agent;
    return probes;
  }

  async stop() {
    this.#going = false;
    await this.done;
    this.agent.destroy();
  }

  /** Those that began in that time, at those servers. */
  between(start, end, servers) {
    return this.samples.filter(({ at, server }) => at >= start && at < end && servers.includes(server));
  }
}

/** The part `share` of all are at most this long. `of`: what is long. */
export function percentile(samples, share, of = ({ ms }) => ms) {
  assert.ok(samples.length > 0, 'nothing was measured');
  const sorted = samples.map(of).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
