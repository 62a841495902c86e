// A real Redis Cluster of a test's own: three masters and three replicas, which fail over by themselves within seconds.

import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from './redis.mjs';

const slots = 16_384;
/** Forming takes 3 s, a failover up to 4 s; an overloaded machine gets this long. */
const patience = 30_000;

export class RedisCluster {
  static async start({ masters = 3, replicas = 3 } = {}) {
    const cluster = new RedisCluster();
    cluster.masters = masters;
    const config = {
      'cluster-enabled': 'yes',
      // Milliseconds after which a silent node is thought to be dead.
      'cluster-node-timeout': '1500',
      'cluster-replica-validity-factor': '0',
      'cluster-allow-replica-migration': 'no',
      // A replica to which nothing was ever said is not shown to clients.
      'repl-ping-replica-period': '1',
    };
    cluster.nodes = await Promise.all(Array.from({ length: masters + replicas }, () => Redis.start({ cluster: true, config })));
    await cluster.#form();
    await cluster.settled();
    return cluster;
  }

  /** `redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT,…`, every node in it. */
  get url() {
    return `redis+cluster://${this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  /** Those that run and serve slots. */
  async serving() {
    const roles = await Promise.all(this.nodes.map(async (node) => (node.pid ? node.command('ROLE') : 'down')));
    return this.nodes.filter((_, i) => roles[i].startsWith('master'));
  }

  /** Waits until all nodes that run agree that all slots are served, and replicas have caught up. */
  async settled() {
    await this.#until('the cluster to settle', async () => {
      const running = this.nodes.filter(({ pid }) => pid);
      const views = await Promise.all(running.map(async (node) => {
        const info = await node.command('CLUSTER', 'INFO');
        const replication = await node.command('INFO', 'replication');
        const follows = replication.includes('role:master') || replication.includes('master_link_status:up');
        return info.includes('cluster_state:ok') && info.includes(`cluster_slots_ok:${slots}`) && follows;
      }));
      return views.every(Boolean);
    });
  }

  async close() {
    await Promise.all((this.nodes ?? []).map((node) => node.close()));
  }

  async #form() {
    const ids = [];
    for (const [i, node] of this.nodes.entries()) {
      ids.push(await node.command('CLUSTER', 'MYID'));
      // Nodes that meet with the same epoch would first have to quarrel about it.
      await node.command('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
      if (i >= this.masters) continue;
      const edge = (n) => Math.floor((n * slots) / this.masters);
      await node.command('CLUSTER', 'ADDSLOTSRANGE', edge(i), edge(i + 1) - 1);
    }
    for (const from of this.nodes) {
      for (const to of this.nodes) {
        if (from !== to) await from.command('CLUSTER', 'MEET', '127.0.0.1', to.port, to.busPort);
      }
    }
    for (const [i, replica] of this.nodes.entries()) {
      if (i < this.masters) continue;
      // Refused until the two have met.
      await this.#until('a replica to follow', () => (
        replica.command('CLUSTER', 'REPLICATE', ids[i % this.masters]).then(() => true, () => false)
      ));
    }
  }

  async #until(what, holds) {
    const deadline = Date.now() + patience;
    while (!(await holds().catch(() => false))) {
      if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
      await sleep(20);
    }
  }
}
