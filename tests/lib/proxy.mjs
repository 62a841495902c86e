// A network that breaks: a TCP proxy before a server, that forwards faithfully until told otherwise, and counts what
// was said as the client's end of the wire sees it.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { leasePort } from './ports.mjs';

/** What may be under way in one direction, in bytes; beyond this the sender has to wait. */
const room = 1024 * 1024;

export class Proxy {
  /** What is counted: connections accepted, and round trips, as `exchanges`: how many times a client spoke first or
   *  after it had been sent something. */
  connections = 0;
  exchanges = 0;
  #link = 'open';
  #delayMs = 0;
  #holding = false;
  #recordings = new Set();
  #lines = new Set();
  #server;
  #lease;
  #flapping;

  /** Listens on a free port and forwards to `port` of this machine. */
  static async before(port) {
    const proxy = new Proxy();
    proxy.#lease = await leasePort();
    proxy.port = proxy.#lease.number;
    proxy.target = port;
    await proxy.#listen();
    return proxy;
  }

  /** Forwards connections made from now on to another port. */
  pointAt(port) {
    this.target = port;
  }

  /** Resets all connections and refuses new ones. */
  async cut() {
    this.#decide('cut');
    await this.#cut();
  }

  /** Resets the connections there are; new ones are accepted as before. */
  cutConnections() {
    for (const line of this.#lines) line.reset();
  }

  /**
   * Accepts, reads, and forgets: nothing arrives in either direction, nothing is answered, nothing is reset. When it
   * ends, a connection that lost something is reset.
   */
  blackHole() {
    this.#decide('blackHole');
  }

  /** Lets everything that is said from now on take so long in each direction. */
  delay(ms) {
    this.#delayMs = ms;
  }

  /** Keeps back what servers say; what clients say arrives. */
  holdReplies() {
    this.#holding = true;
  }

  /** Delivers what was kept back, in order. */
  releaseReplies() {
    this.#holding = false;
    this.#wake();
  }

  /** Open for `upMs`, cut for `downMs`, and so on until told otherwise. */
  flapping(upMs, downMs) {
    this.#decide('open');
    const turn = async (up) => {
      this.#link = up ? 'open' : 'cut';
      await (up ? this.#listen() : this.#cut());
      // Told otherwise meanwhile.
      if (this.#flapping !== timers) return;
      timers.next = setTimeout(turn, up ? upMs : downMs, !up);
    };
    const timers = { next: undefined };
    this.#flapping = timers;
    timers.next = setTimeout(turn, upMs, false);
  }

  /** From now on, what clients say, an entry an exchange: `{connection, at, text}`, the connection's number counted from 1. */
  record() {
    const recording = { exchanges: [], stop: () => { this.#recordings.delete(recording); } };
    this.#recordings.add(recording);
    return recording;
  }

  /** All is as it was at first: open, without delay, nothing held. */
  async heal() {
    this.#decide('open');
    this.#delayMs = 0;
    this.#holding = false;
    await this.#listen();
    for (const line of this.#lines) if (line.lost) line.reset();
    this.#wake();
  }

  async close() {
    await this.cut();
    this.#lease.release();
  }

  #decide(link) {
    clearTimeout(this.#flapping?.next);
    this.#flapping = undefined;
    this.#link = link;
  }

  #wake() {
    for (const line of this.#lines) line.wake();
  }

  async #cut() {
    this.cutConnections();
    const server = this.#server;
    this.#server = undefined;
    if (server) await new Promise((done) => { server.close(done); });
  }

  async #listen() {
    if (this.#server) return;
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
    this.#server = server;
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
  }

  #accept(client) {
    if (this.#link === 'cut') {
      client.resetAndDestroy();
      return;
    }
    this.connections += 1;
    const connection = this.connections;
    const line = new Line(client, () => connect({ host: '127.0.0.1', port: this.target, allowHalfOpen: true, noDelay: true }), {
      link: () => this.#link,
      due: () => performance.now() + this.#delayMs,
      mayPass: (replying) => this.#link === 'open' && !(replying && this.#holding),
      said: (bytes, turned) => {
        if (turned) this.exchanges += 1;
        for (const { exchanges } of this.#recordings) {
          const underWay = turned ? undefined : exchanges.findLast((one) => one.connection === connection);
          if (underWay) underWay.text += bytes.toString('latin1');
          else exchanges.push({ connection, at: performance.now(), text: bytes.toString('latin1') });
        }
      },
      gone: () => this.#lines.delete(line),
    });
    this.#lines.add(line);
    line.wake();
  }
}

/** One connection: a queue for each direction, and what the network does to it. */
class Line {
  lost = false;
  /** Whether the client was sent something since it last spoke, or never spoke. */
  #turned = true;
  #asking;
  #replying;

  constructor(client, dial, network) {
    this.client = client;
    this.dial = dial;
    this.network = network;
    this.#asking = new Queue(client, network, false, this);
    client.on('data', (bytes) => {
      network.said(bytes, this.#turned);
      this.#turned = false;
    });
  }

  /** Looks again at what may pass. */
  wake() {
    // One that is made while nothing gets through knows no server yet.
    if (!this.server && this.network.link() === 'open') {
      this.server = this.dial();
      this.#replying = new Queue(this.server, this.network, true, this);
      this.#asking.to = this.server;
      this.#replying.to = this.client;
    }
    this.#asking.deliver();
    this.#replying?.deliver();
  }

  answered() {
    this.#turned = true;
  }

  /** One side is gone without a word. */
  broken() {
    if (this.network.link() === 'blackHole') this.lost = true;
    else this.reset();
  }

  /** Both sides have said that they are done. */
  finished() {
    if (this.#asking.done && this.#replying?.done) this.network.gone();
  }

  reset() {
    this.#asking.close();
    this.#replying?.close();
    for (const socket of [this.client, this.server]) {
      // Node never ends a process that has reset a socket in the middle of its shutdown.
      if (socket?.writableEnded) socket.destroy();
      else socket?.resetAndDestroy();
    }
    this.network.gone();
  }
}

/** What one side has said and the other has not yet heard. */
class Queue {
  done = false;
  #chunks = [];
  #bytes = 0;
  #timer;

  constructor(from, network, replying, line) {
    this.from = from;
    this.network = network;
    this.replying = replying;
    this.line = line;
    from.on('data', (bytes) => this.#heard(bytes));
    from.on('end', () => this.#heard(undefined));
    from.on('error', () => line.broken());
  }

  close() {
    clearTimeout(this.#timer);
    this.#chunks = [];
    this.done = true;
  }

  #heard(bytes) {
    if (this.network.link() === 'blackHole') {
      this.line.lost = true;
      return;
    }
    this.#chunks.push({ bytes, due: this.network.due() });
    this.#bytes += bytes?.length ?? 0;
    if (this.#bytes > room) this.from.pause();
    this.deliver();
  }

  deliver() {
    clearTimeout(this.#timer);
    while (this.#chunks.length > 0 && !this.done && this.to) {
      const [{ bytes, due }] = this.#chunks;
      if (this.network.link() === 'blackHole') {
        this.line.lost = true;
        this.#chunks = [];
        return;
      }
      const wait = due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.deliver(), Math.ceil(wait));
        return;
      }
      if (!this.network.mayPass(this.replying)) return;
      this.#chunks.shift();
      if (!bytes) {
        this.done = true;
        this.to.end();
        this.line.finished();
        return;
      }
      if (this.replying) this.line.answered();
      // It makes room once it is written, so that a slow reader slows the writer.
      this.to.write(bytes, () => {
        this.#bytes -= bytes.length;
        if (this.#bytes <= room) this.from.resume();
      });
    }
  }
}
