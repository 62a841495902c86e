import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Folded } from './blocked';
import type { Message } from '../api/types';
import { block, blocks, forgetBlocks, inALine, isBlocked, loadBlocks, report, unblock } from './safety';

const person = (id: string) => ({
  user: { id, username: id, displayName: id.toUpperCase(), avatarUrl: null },
  createdAt: '2026-11-23T04:38:48.120Z',
});

/** The server's side: whom the person blocked, and every call. */
let blocked: ReturnType<typeof person>[];
let calls: { method: string; path: string; body: unknown }[];
let waiting: Promise<void>;

beforeEach(() => {
  blocked = [];
  calls = [];
  waiting = Promise.resolve();
  forgetBlocks();
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    const method = init.method ?? 'GET';
    calls.push({ method, path, body: typeof init.body === 'string' ? JSON.parse(init.body) : undefined });
    const id = path.split('/').at(-1) ?? '';
    if (method === 'PUT') blocked = [person(id), ...blocked];
    if (method === 'DELETE') blocked = blocked.filter((one) => one.user.id !== id);
    const answer = { items: blocked };
    await waiting;
    if (method === 'GET') return Response.json(answer);
    if (method === 'POST') return Response.json({ report: { id: 'r1' } }, { status: 201 });
    return new Response(null, { status: 204 });
  });
});
afterEach(() => vi.unstubAllGlobals());

const ids = () => blocks.get()?.map((one) => one.user.id);

describe('blocked people', () => {
  it('are read once, however many ask', async () => {
    blocked = [person('ines')];
    await Promise.all([loadBlocks(), loadBlocks()]);
    await loadBlocks();
    expect(ids()).toEqual(['ines']);
    expect(calls).toHaveLength(1);
  });

  it('are what a fresh read answers after each change', async () => {
    await loadBlocks();
    for (const change of [() => block('ines'), () => block('otto'), () => unblock('ines')]) {
      await change();
      const now = ids();
      forgetBlocks();
      await loadBlocks();
      expect(now).toEqual(ids());
    }
    expect(isBlocked(blocks.get(), 'otto')).toBe(true);
    expect(isBlocked(blocks.get(), 'ines')).toBe(false);
  });

  it('of somebody who signed out meanwhile are not shown to the next', async () => {
    blocked = [person('ines')];
    let go: () => void = () => undefined;
    waiting = new Promise((done) => (go = done));
    const late = loadBlocks();
    forgetBlocks();
    go();
    await late;
    expect(blocks.get()).toBeUndefined();
  });

  it('are folded, and others are not', () => {
    const shown = (sender: string) => {
      const box = document.createElement('div');
      const root = createRoot(box);
      act(() => root.render(<Folded sender={sender}>Rude words</Folded>));
      const text = box.textContent;
      act(() => root.unmount());
      return text;
    };
    expect(shown('ines')).toBe('Rude words');
    blocks.set([person('ines')]);
    expect(shown('ines')).toContain('Message of a blocked person.');
    expect(shown('ines')).not.toContain('Rude');
    expect(shown('otto')).toBe('Rude words');
  });
});

describe('a message in the line of a list', () => {
  const said = (senderId: string, role: Message['role'] = 'user') =>
    ({ senderId, role, text: 'Rude *words*' }) as Message;

  it('says nothing of what a blocked person said', () => {
    expect(inALine([person('ines')], 'me', said('ines'))).toBe('Message of a blocked person');
    expect(inALine([person('ines')], 'me', said('otto'))).toBe('Rude words');
  });

  it('waits for who is blocked where others speak', () => {
    expect(inALine(undefined, 'me', said('otto'))).toBe('A message');
    expect(inALine(undefined, 'me', said('me'))).toBe('Rude words');
    expect(inALine(undefined, 'me', said('mara', 'character'))).toBe('Rude words');
  });
});

it('a report says what, why, and what to know', async () => {
  await report({ kind: 'reply', id: 'm1', conversationId: 'c1' }, 'hate', '  look at the end ');
  expect(calls).toEqual([
    {
      method: 'POST',
      path: '/api/reports',
      body: { kind: 'reply', id: 'm1', conversationId: 'c1', reason: 'hate', note: 'look at the end' },
    },
  ]);
});
