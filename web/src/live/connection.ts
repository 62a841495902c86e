/**
 * The one socket of a signed-in page. It tries again for as long as the page is open; what must be said again after a
 * reconnect (joining a conversation) is the business of those who listen to `onConnected`.
 */
import { io, type Socket } from 'socket.io-client';
import { createStore, type Store } from '../lib/store';
import { SERVER_EVENTS, type ClientEvents, type ServerEvent } from './events';

/** `connecting` is the first attempt; `reconnecting` any after it was lost; `offline` says that the device has no network. */
export type ConnectionState = 'connecting' | 'connected' | 'reconnecting' | 'offline';

/** The part of a connection that a conversation needs. */
export interface Connection {
  readonly state: Store<ConnectionState>;
  ask<N extends keyof ClientEvents>(name: N, ask: ClientEvents[N]['ask']): Promise<ClientEvents[N]['answer']>;
  tell(name: 'typing', payload: { conversationId: string; typing: boolean }): void;
  onEvent(listener: (event: ServerEvent) => void): () => void;
}

const ANSWER_WITHIN = 10_000;
const RETRY_AFTER = 3_000;

export class LiveConnection implements Connection {
  readonly state = createStore<ConnectionState>('connecting');
  readonly #socket: Socket;
  readonly #listeners = new Set<(event: ServerEvent) => void>();
  readonly #ifSignedOut: () => void;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #wasConnected = false;

  /** `ifSignedOut` is called when the server closes the door: it finds out whether the session is over. */
  constructor(ifSignedOut: () => void) {
    this.#ifSignedOut = ifSignedOut;
    const socket = io({
      autoConnect: false,
      // A WebSocket needs no sticky balancer; polling is for networks that let none through.
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      reconnectionDelay: 400,
      reconnectionDelayMax: 5_000,
    });
    this.#socket = socket;
    socket.on('connect', () => {
      this.#wasConnected = true;
      this.state.set('connected');
    });
    socket.on('disconnect', (reason) => {
      this.#lost();
      if (reason === 'io server disconnect') {
        this.#ifSignedOut();
        this.#tryLater();
      }
    });
    socket.on('connect_error', (error: Error & { data?: { code?: string } }) => {
      this.#lost();
      if (error.data?.code === 'unauthenticated') this.#ifSignedOut();
      if (!socket.active) this.#tryLater();
    });
    for (const name of SERVER_EVENTS) {
      socket.on(name, (payload: unknown) => {
        const event = { name, payload } as ServerEvent;
        for (const listener of [...this.#listeners]) listener(event);
      });
    }
    window.addEventListener('online', this.#hurry);
    window.addEventListener('offline', this.#lost);
    document.addEventListener('visibilitychange', this.#hurry);
    socket.connect();
  }

  async ask<N extends keyof ClientEvents>(
    name: N,
    ask: ClientEvents[N]['ask'],
  ): Promise<ClientEvents[N]['answer']> {
    return (await this.#socket.timeout(ANSWER_WITHIN).emitWithAck(name, ask)) as ClientEvents[N]['answer'];
  }

  tell(name: 'typing', payload: { conversationId: string; typing: boolean }): void {
    if (this.#socket.connected) this.#socket.volatile.emit(name, payload);
  }

  onEvent(listener: (event: ServerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    clearTimeout(this.#retry);
    window.removeEventListener('online', this.#hurry);
    window.removeEventListener('offline', this.#lost);
    document.removeEventListener('visibilitychange', this.#hurry);
    this.#listeners.clear();
    this.#socket.removeAllListeners();
    this.#socket.disconnect();
  }

  readonly #lost = (): void => {
    if (this.#socket.connected && navigator.onLine) return;
    if (!navigator.onLine) this.state.set('offline');
    else this.state.set(this.#wasConnected ? 'reconnecting' : 'connecting');
  };

  /** A phone that wakes up, a network that is back: no reason to wait out the pause between attempts. */
  readonly #hurry = (): void => {
    if (document.visibilityState === 'hidden') return;
    if (this.#socket.connected) this.state.set('connected');
    else {
      this.#lost();
      this.#socket.disconnect().connect();
    }
  };

  /** After a refusal Socket.IO leaves the next attempt to us. */
  #tryLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#socket.connect(), RETRY_AFTER);
  }
}
