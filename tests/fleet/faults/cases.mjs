// What breaks, one entry a case: `{name, small?, fleet?, breaks, lastsMs, mends, cut?, measured?, comesAndGoes?, answeredMs?}`.
// `small`: part of every run of the tests. `breaks` and `mends` are given the fleet. `cut`: replies are cut off with the
// process that gave them. `measured`: the servers whose requests are timed while Redis is away from them; none where it is
// not. `comesAndGoes`: the breaker opens and closes meanwhile. `answeredMs`: within which a message is answered meanwhile,
// where that is not 2 s.

/** Nobody listens there: whoever follows it waits. */
const nowhere = ['127.0.0.1', 1];

const everyone = ({ servers }) => servers;
const networks = ({ processes }) => processes.map(({ network }) => network);

export const cases = [
  {
    name: 'Redis killed, and restarted with what it had',
    small: true,
    fleet: { redis: { persistent: true } },
    breaks: ({ redis }) => redis.kill(),
    lastsMs: 4_000,
    mends: ({ redis }) => redis.restart(),
    measured: everyone,
  },
  {
    name: 'Redis killed, and restarted empty',
    breaks: ({ redis }) => redis.kill(),
    lastsMs: 4_000,
    mends: ({ redis }) => redis.restartEmpty(),
    measured: everyone,
  },
  {
    name: 'FLUSHALL',
    small: true,
    breaks: ({ redis }) => redis.flush(),
    lastsMs: 0,
    mends: () => {},
  },
  {
    name: 'Redis stopped for 10 s',
    breaks: ({ redis }) => redis.stop(),
    lastsMs: 10_000,
    mends: ({ redis }) => redis.cont(),
    measured: everyone,
  },
  {
    name: 'a black hole before Redis',
    small: true,
    breaks: (fleet) => networks(fleet).forEach((network) => network.blackHole()),
    lastsMs: 5_000,
    mends: (fleet) => Promise.all(networks(fleet).map((network) => network.heal())),
    measured: everyone,
  },
  {
    name: 'Redis 2 s away',
    breaks: (fleet) => networks(fleet).forEach((network) => network.delay(1_000)),
    lastsMs: 6_000,
    mends: (fleet) => Promise.all(networks(fleet).map((network) => network.heal())),
    measured: everyone,
  },
  {
    name: 'Redis out of memory, with noeviction',
    breaks: async ({ redis }) => {
      await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
      await redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
    },
    lastsMs: 5_000,
    mends: ({ redis }) => redis.command('CONFIG', 'SET', 'maxmemory', '0'),
    measured: everyone,
  },
  {
    name: 'Redis read-only',
    breaks: ({ redis }) => redis.command('REPLICAOF', ...nowhere),
    lastsMs: 5_000,
    mends: ({ redis }) => redis.command('REPLICAOF', 'NO', 'ONE'),
    measured: everyone,
  },
  {
    name: 'Redis comes and goes',
    breaks: (fleet) => networks(fleet).forEach((network, i) => network.flapping(700 + 70 * i, 400)),
    lastsMs: 8_000,
    mends: (fleet) => Promise.all(networks(fleet).map((network) => network.heal())),
    measured: everyone,
    comesAndGoes: true,
  },
  ...[0, 1].map((i) => ({
    name: `server ${i + 1} cut off from Redis, alone`,
    breaks: ({ servers }) => servers[i].network.cut(),
    lastsMs: 5_000,
    mends: ({ servers }) => servers[i].network.heal(),
    measured: ({ servers }) => [servers[i]],
  })),
  {
    name: 'a server cut off from Redis that answers nothing itself',
    fleet: { server: { AIM_WORKERS__ENABLED: 'false' } },
    breaks: ({ servers }) => servers[0].network.cut(),
    lastsMs: 5_000,
    mends: ({ servers }) => servers[0].network.heal(),
    measured: ({ servers }) => [servers[0]],
    // Until another looks for what is due.
    answeredMs: 5_000,
  },
  {
    name: 'both servers cut off from Redis',
    breaks: ({ servers }) => Promise.all(servers.map(({ network }) => network.cut())),
    lastsMs: 5_000,
    mends: ({ servers }) => Promise.all(servers.map(({ network }) => network.heal())),
    measured: everyone,
  },
  {
    name: 'a server killed',
    breaks: ({ servers }) => servers[0].kill(),
    lastsMs: 3_000,
    mends: ({ servers }) => servers[0].start(),
    cut: true,
  },
  {
    name: 'a worker killed',
    small: true,
    // Servers leave the answering to the workers, so that there is something to cut off.
    fleet: { server: { AIM_WORKERS__ENABLED: 'false' } },
    breaks: ({ workers }) => workers[0].kill(),
    lastsMs: 3_000,
    mends: ({ workers }) => workers[0].start(),
    cut: true,
  },
  {
    name: 'a worker stopped past its lease',
    fleet: { server: { AIM_WORKERS__ENABLED: 'false' } },
    breaks: ({ workers }) => workers[0].stop(),
    lastsMs: 15_000,
    mends: ({ workers }) => workers[0].cont(),
    cut: true,
  },
  {
    name: 'a master of a Redis Cluster killed',
    fleet: { cluster: true },
    breaks: async ({ cluster }) => (await cluster.serving())[0].kill(),
    lastsMs: 1_000,
    mends: ({ cluster }) => cluster.settled(),
    measured: everyone,
    comesAndGoes: true,
  },
];
