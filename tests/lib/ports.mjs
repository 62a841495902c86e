// Ports of the loopback that stay a test's own, also while nothing listens on them: a server that was killed must find
// its port again. They lie below the range from which the kernel serves outgoing connections, one of which could take
// a free port.

import { once } from 'node:events';
import { createServer } from 'node:net';

const first = 18_000;
const end = 32_768;

/** Listens there; nothing when somebody else does. */
async function listen(where) {
  const server = createServer();
  const listening = once(server, 'listening').then(() => server, () => undefined);
  server.listen(where);
  return listening;
}

/** `{number, release()}`: no other test gets this port until it is released or this process ends. */
export async function leasePort() {
  const start = Math.floor(Math.random() * (end - first));
  for (let step = 0; step < end - first; step += 1) {
    const number = first + ((start + step) % (end - first));
    // An abstract socket of the port's name: one process can hold it, and it goes when that process does.
    const lease = await listen({ path: `\0aim-test-port-${number}` });
    if (!lease) continue;
    const probe = await listen({ host: '127.0.0.1', port: number });
    if (probe) {
      await new Promise((done) => { probe.close(done); });
      lease.unref();
      return { number, release: () => lease.close() };
    }
    lease.close();
  }
  throw new Error('no port of the loopback is free');
}
