/**
 * A file that goes on after a cut: the client's side of the tus protocol 1.0 (https://tus.io/protocols/resumable-upload),
 * as far as this server speaks it (`/api/uploads/tus`, extensions creation and termination). The protocol is four calls,
 * fewer lines than a library takes kilobytes.
 */
import { ApiError } from '../api/client';
import type { Upload } from '../api/types';
import { exchange as overNetwork, givenUp, refusal, type Answer, type Exchange } from './exchange';

/**
 * Bytes of a part at the most. What came of a part that was cut is kept, so this bounds what is sent twice only where both
 * ends disagree about it; and proxies that limit a call's body let this much pass.
 */
const PART = 4 * 1024 * 1024;
/** Tries in a row that the server answered to, be it only in part, and that brought nothing; a network that is away is waited for. */
const TRIES = 6;
/** The first wait after a cut and the longest, in ms; each is up to twice the one before. */
const WAIT = 500;
const WAIT_MOST = 15_000;

const ENDPOINT = '/api/uploads/tus';
const TUS = { 'tus-resumable': '1.0.0' };

/** How far a file is. */
export interface Sent {
  /** 0 to 1. */
  part: number;
  /** The network is away, or the server: it goes on by itself. */
  waiting: boolean;
}

/**
 * Whether the upload may go on after this. Once it is begun the server is asked where it stands: a part may have broken
 * off or begin elsewhere, or the upload was given up for its age.
 */
function passes({ code, status }: ApiError, isBegun: boolean): boolean {
  return code === 'offline' || status >= 500 || (isBegun && [404, 408, 409, 422, 423, 429].includes(status));
}

/** Until it is worth trying again: a moment, or as soon as the browser has a network. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      window.removeEventListener('online', end);
      document.removeEventListener('visibilitychange', onShown);
      signal.removeEventListener('abort', end);
      done();
    };
    const onShown = () => {
      if (document.visibilityState === 'visible') end();
    };
    const timer = setTimeout(end, ms);
    window.addEventListener('online', end);
    document.addEventListener('visibilitychange', onShown);
    signal.addEventListener('abort', end);
  });
}

class Parts {
  readonly #file: Blob;
  readonly #tell: (sent: Sent) => void;
  readonly #signal: AbortSignal;
  readonly #exchange: Exchange;
  #at: string | undefined;
  /** Bytes that the server has, as far as is known. */
  #offset = 0;
  #isSure = true;
  /** 0 to 1, as it was told. */
  #told = 0;
  #gained = false;
  #answered = false;

  constructor(file: Blob, tell: (sent: Sent) => void, signal: AbortSignal, exchange: Exchange) {
    this.#file = file;
    this.#tell = tell;
    this.#signal = signal;
    this.#exchange = exchange;
  }

  get isBegun(): boolean {
    return this.#at !== undefined;
  }

  /** Sends what is missing. Rejects as soon as something goes wrong, and may be called again. */
  async advance(): Promise<Upload> {
    if (this.#at !== undefined && !this.#isSure) await this.#look(this.#at);
    this.#at ??= await this.#begin();
    this.#say(this.#offset);
    while (this.#offset < this.#file.size) await this.#send(this.#at);
    const id = this.#at.split('/').at(-1) ?? '';
    const answer = await this.#exchange({ method: 'GET', path: `/api/uploads/${id}`, signal: this.#signal });
    const { upload } = answer.body as { upload?: Upload };
    if (answer.status !== 200 || upload === undefined) throw refusal(answer);
    return upload;
  }

  /** That it waits. What follows asks the server first where it stands. */
  wait(): void {
    this.#isSure = false;
    this.#answered = false;
    this.#tell({ part: this.#told, waiting: true });
  }

  /** Whether the server has more than it had at the last call of this. */
  gained(): boolean {
    const gained = this.#gained;
    this.#gained = false;
    return gained;
  }

  /** Whether the server answered since the last wait: then it is not the network alone that is in the way. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Lets the server forget what it has, without waiting for an answer. */
  forget(): void {
    if (this.#at === undefined) return;
    this.#exchange({ method: 'DELETE', path: this.#at, headers: TUS }).catch(() => undefined);
  }

  /** The same while the page goes away, which no other call outlives. A page that comes back begins anew. */
  leave(): void {
    if (this.#at === undefined) return;
    fetch(this.#at, { method: 'DELETE', headers: TUS, keepalive: true }).catch(() => undefined);
  }

  #say(bytes: number): void {
    this.#told = Math.min(1, bytes / this.#file.size);
    this.#tell({ part: this.#told, waiting: false });
  }

  #confirmed(answer: Answer): void {
    const offset = Number(answer.header('upload-offset') ?? 'none');
    if (!Number.isInteger(offset) || offset < 0 || offset > this.#file.size)
      throw new ApiError('internal', 'The server answered with something else than an upload.');
    if (offset > this.#offset) this.#gained = true;
    this.#offset = offset;
    this.#isSure = true;
    this.#answered = true;
  }

  async #begin(): Promise<string> {
    const answer = await this.#exchange({
      method: 'POST',
      path: ENDPOINT,
      headers: { ...TUS, 'upload-length': String(this.#file.size) },
      signal: this.#signal,
    });
    const at = answer.header('location');
    if (answer.status !== 201 || at === null) throw refusal(answer);
    this.#offset = 0;
    this.#isSure = true;
    this.#answered = true;
    return at;
  }

  async #look(at: string): Promise<void> {
    const answer = await this.#exchange({ method: 'HEAD', path: at, headers: TUS, signal: this.#signal });
    // After longer than the server keeps the parts of an upload: it begins anew.
    if (answer.status === 404 || answer.status === 410) this.#at = undefined;
    else if (answer.status === 200) this.#confirmed(answer);
    else throw refusal(answer);
  }

  async #send(at: string): Promise<void> {
    const from = this.#offset;
    const answer = await this.#exchange({
      method: 'PATCH',
      path: at,
      headers: {
        ...TUS,
        'upload-offset': String(from),
        'content-type': 'application/offset+octet-stream',
      },
      body: this.#file.slice(from, from + PART),
      onSent: (bytes) => this.#say(from + bytes),
      signal: this.#signal,
    });
    if (answer.status !== 204) throw refusal(answer);
    this.#confirmed(answer);
    if (this.#offset <= from) throw new ApiError('unavailable', 'The server takes nothing of this file.');
    this.#say(this.#offset);
  }
}

/**
 * Sends a file in parts, and answers the upload that it is now. After a cut it goes on from where it was, for as long as the
 * network is away; `tell` hears of it. Rejects with an `ApiError`, also when a server that is there takes nothing, or with an
 * `AbortError` when it was given up; the server forgets what it has then, and when the page is left.
 */
export async function sendInParts(
  file: Blob,
  tell: (sent: Sent) => void,
  signal: AbortSignal,
  exchange: Exchange = overNetwork,
): Promise<Upload> {
  const parts = new Parts(file, tell, signal, exchange);
  const leave = () => parts.leave();
  window.addEventListener('pagehide', leave);
  let cuts = 0;
  let tries = 0;
  try {
    for (;;) {
      try {
        return await parts.advance();
      } catch (error) {
        if (signal.aborted) throw givenUp();
        if (!(error instanceof ApiError) || !passes(error, parts.isBegun)) throw error;
        if (parts.gained()) [cuts, tries] = [0, 0];
        cuts += 1;
        if (error.code !== 'offline' || parts.answered) tries += 1;
        if (tries === TRIES) throw error;
        parts.wait();
        const backoff = Math.min(WAIT * 2 ** (cuts - 1), WAIT_MOST) * (0.5 + Math.random() / 2);
        await pause(Math.max(backoff, (error.retryAfter ?? 0) * 1_000), signal);
      }
    }
  } catch (error) {
    parts.forget();
    throw error;
  } finally {
    window.removeEventListener('pagehide', leave);
  }
}
