import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/client';
import type { Answer, Ask, Exchange } from './exchange';
import { sendInParts, type Sent } from './parts';

const SIZE = 10 * 1024 * 1024;
const PART = 4 * 1024 * 1024;

const answer = (status: number, headers: Record<string, string> = {}, body: unknown = {}): Answer => ({
  status,
  header: (name) => headers[name] ?? null,
  body,
});
const offline = () => new ApiError('offline', 'away');

/** A server that keeps what comes, and a network that breaks as it is told. */
class Server {
  /** Bytes of each upload that is under way or whole, by address. */
  readonly kept = new Map<string, number>();
  readonly asked: string[] = [];
  /** Bytes that came, those that came twice counted twice. */
  bytes = 0;
  away = false;
  /** How often it still says that it was asked too often what became of an upload. */
  refused = 0;
  /** Of the next parts: how much comes before the cut, or what is answered in the end. */
  readonly plans: ({ cutAt: number; isKept?: boolean } | { answers: Answer })[] = [];
  #made = 0;

  readonly exchange: Exchange = async (ask) => {
    await Promise.resolve();
    if (ask.signal?.aborted) throw new DOMException('given up', 'AbortError');
    if (this.away) throw offline();
    this.asked.push(`${ask.method} ${ask.headers?.['upload-offset'] ?? ''}`.trim());
    const at = ask.path;
    if (ask.method === 'POST') {
      const made = `/api/uploads/tus/u${(this.#made += 1)}`;
      this.kept.set(made, 0);
      return answer(201, { location: made });
    }
    if (ask.method === 'GET' && (this.refused -= 1) >= 0)
      return answer(429, { 'retry-after': '20' }, { code: 'rate_limited', detail: 'Too many calls.' });
    if (ask.method === 'GET') return answer(200, {}, { upload: { id: at.split('/').at(-1) } });
    const kept = this.kept.get(at);
    if (kept === undefined) return answer(404, {}, { code: 'not_found', detail: 'There is no such upload.' });
    if (ask.method === 'DELETE') {
      this.kept.delete(at);
      return answer(204);
    }
    if (ask.method === 'HEAD') return answer(200, { 'upload-offset': String(kept) });
    return this.#take(ask, kept);
  };

  #take(ask: Ask, kept: number): Answer {
    if (Number(ask.headers?.['upload-offset']) !== kept)
      return answer(409, {}, { code: 'conflict', detail: 'elsewhere' });
    const { size } = ask.body as Blob;
    const plan = this.plans.shift();
    if (plan !== undefined && 'answers' in plan) return plan.answers;
    const came = plan === undefined ? size : plan.cutAt;
    this.bytes += came;
    ask.onSent?.(came, size);
    if (plan?.isKept !== false) this.kept.set(ask.path, kept + came);
    if (plan !== undefined) throw offline();
    return answer(204, { 'upload-offset': String(kept + came) });
  }
}

let server: Server;
let told: Sent[];
let control: AbortController;
beforeEach(() => {
  vi.useFakeTimers();
  [server, told, control] = [new Server(), [], new AbortController()];
});
afterEach(() => vi.useRealTimers());

/** Begins; a rejection is looked at later. */
function begin() {
  const file = new File([new Uint8Array(SIZE)], 'voice.wav');
  const ended = sendInParts(file, (sent) => told.push(sent), control.signal, server.exchange);
  ended.catch(() => undefined);
  return ended;
}
const waiting = () => told.at(-1)?.waiting;

describe('a file in parts', () => {
  it('goes part after part, and is an upload', async () => {
    expect((await begin()).id).toBe('u1');
    expect(server.asked).toEqual(['POST', 'PATCH 0', `PATCH ${PART}`, `PATCH ${2 * PART}`, 'GET']);
    expect(told.every((sent) => !sent.waiting)).toBe(true);
    const parts = told.map((sent) => sent.part);
    expect(parts).toEqual([...parts].sort((a, b) => a - b));
    expect([parts[0], parts.at(-1)]).toEqual([0, 1]);
  });

  it('goes on after a cut from what the server has', async () => {
    server.plans.push({ cutAt: PART }, { cutAt: 1_000 });
    const ended = begin();
    await vi.advanceTimersByTimeAsync(0);
    expect(told.at(-1)).toEqual({ part: PART / SIZE, waiting: true });
    await vi.runAllTimersAsync();
    await ended;
    expect(server.asked.slice(1, 6)).toEqual([
      'PATCH 0',
      'HEAD',
      `PATCH ${PART}`,
      'HEAD',
      `PATCH ${PART + 1_000}`,
    ]);
    expect(server.bytes).toBe(SIZE);
  });

  it('sends again what was on its way and never came', async () => {
    server.plans.push({ cutAt: 3_000, isKept: false });
    const ended = begin();
    await vi.runAllTimersAsync();
    await ended;
    expect(server.asked.slice(1, 4)).toEqual(['PATCH 0', 'HEAD', 'PATCH 0']);
    expect(server.kept.get('/api/uploads/tus/u1')).toBe(SIZE);
  });

  it('waits for a network that stays away, and goes on as soon as it is back', async () => {
    server.plans.push({ cutAt: 1_000 });
    const ended = begin();
    await vi.advanceTimersByTimeAsync(0);
    server.away = true;
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(waiting()).toBe(true);
    server.away = false;
    window.dispatchEvent(new Event('online'));
    await vi.advanceTimersByTimeAsync(0);
    expect((await ended).id).toBe('u1');
    expect(server.bytes).toBe(SIZE);
  });

  it('begins anew when the server has given it up', async () => {
    server.plans.push({ cutAt: PART });
    const ended = begin();
    await vi.advanceTimersByTimeAsync(0);
    server.kept.clear();
    await vi.runAllTimersAsync();
    expect((await ended).id).toBe('u2');
  });

  it('asks where it goes on when the server says that it is elsewhere', async () => {
    server.plans.push({ answers: answer(409, {}, { code: 'conflict', detail: 'elsewhere' }) });
    const ended = begin();
    await vi.runAllTimersAsync();
    await ended;
    expect(server.asked.slice(1, 4)).toEqual(['PATCH 0', 'HEAD', 'PATCH 0']);
  });

  it('ends at a refusal, with its words, and leaves nothing behind', async () => {
    const words = { code: 'unsupported_media_type', detail: 'PDF cannot be taken.' };
    server.plans.push({ answers: answer(415, {}, words) });
    const ended = begin();
    await expect(ended).rejects.toMatchObject({ message: words.detail, code: words.code, status: 415 });
    await vi.runAllTimersAsync();
    expect(server.asked).toEqual(['POST', 'PATCH 0', 'DELETE']);
    expect(server.kept.size).toBe(0);
  });

  it('does not ask for ever a server that answers and takes nothing', async () => {
    const busy = answer(503, {}, { code: 'unavailable', detail: 'The disk is full.' });
    server.plans.push(...Array.from({ length: 50 }, () => ({ answers: busy })));
    const ended = begin();
    await vi.runAllTimersAsync();
    await expect(ended).rejects.toMatchObject({ message: 'The disk is full.' });
    expect(server.plans.length).toBeGreaterThan(40);
  });

  it('does not send for ever what never gets through, while the server is there', async () => {
    server.plans.push(...Array.from({ length: 50 }, () => ({ cutAt: 0, isKept: false })));
    const ended = begin();
    await vi.runAllTimersAsync();
    await expect(ended).rejects.toMatchObject({ code: 'offline' });
    expect(server.plans.length).toBe(44);
    expect(server.kept.size).toBe(0);
  });

  it('waits for its turn when it asks too often, and keeps what came', async () => {
    server.refused = 2;
    const ended = begin();
    await vi.runAllTimersAsync();
    await expect(ended).resolves.toMatchObject({ id: 'u1' });
    expect(server.bytes).toBe(SIZE);
    expect(server.asked).not.toContain('DELETE');
  });

  it('is forgotten by the server when it is given up, while it is sent or waits', async () => {
    server.plans.push({ cutAt: PART });
    const ended = begin();
    await vi.advanceTimersByTimeAsync(0);
    expect(waiting()).toBe(true);
    control.abort();
    await expect(ended).rejects.toMatchObject({ name: 'AbortError' });
    await vi.runAllTimersAsync();
    expect(server.kept.size).toBe(0);
  });

  it('is forgotten when the page is left, and not once it is whole', async () => {
    const left = vi.fn(() => Promise.resolve(new Response()));
    vi.stubGlobal('fetch', left);
    server.plans.push({ cutAt: PART });
    const ended = begin();
    await vi.advanceTimersByTimeAsync(0);
    window.dispatchEvent(new Event('pagehide'));
    expect(left).toHaveBeenCalledWith(
      '/api/uploads/tus/u1',
      expect.objectContaining({ method: 'DELETE', keepalive: true }),
    );
    await vi.runAllTimersAsync();
    await ended;
    window.dispatchEvent(new Event('pagehide'));
    expect(left).toHaveBeenCalledTimes(1);
    vi.unstubAllGlobals();
  });
});
