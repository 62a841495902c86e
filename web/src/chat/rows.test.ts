import { describe, expect, it } from 'vitest';
import { CHARACTER, Follower, message, Model } from './model';
import { transcriptRows } from './rows';

const kinds = (follower: Follower) =>
  transcriptRows(follower.state).map((row) => (row.kind === 'day' ? 'day' : `${row.kind} ${row.key}`));

describe('the rows of a transcript', () => {
  it('keep their keys when a reply under way becomes a message', () => {
    const model = new Model();
    model.send();
    model.goes('processing', 0);
    model.start('r', 'm1');
    model.delta('m1', 'Hello');
    model.commit('m1');
    const follower = new Follower(model);
    follower.join(0);
    const seen = new Set<string>();
    for (let at = 0; at < model.told.length; at += 1) {
      follower.hear(at, at + 1);
      for (const row of transcriptRows(follower.state).slice(2)) seen.add(row.key);
    }
    expect([...seen]).toEqual(['reply-m1']);
    expect(kinds(follower)).toEqual(['day', 'message m1', 'message reply-m1']);
  });

  it('put what is not yet stored after what is, and the reply under way last', () => {
    const model = new Model();
    model.send();
    model.start('r', 'm1');
    const follower = new Follower(model);
    follower.join(model.told.length);
    const createdAt = message(1).createdAt;
    follower.do({ type: 'typed', unsent: { clientId: 'k9', text: 'and', createdAt, status: 'sending' } });
    expect(kinds(follower)).toEqual(['day', 'message m1', 'unsent k9', 'reply reply-m1']);
  });

  it('tell which message a reply answers only when another stands between', () => {
    const model = new Model();
    model.send();
    model.start('r1', 'm1');
    model.send();
    model.commit('m1');
    model.start('r2', 'm2');
    const follower = new Follower(model);
    follower.join(model.told.length);
    const answers = transcriptRows(follower.state).map((row) =>
      'answers' in row ? row.answers?.id : undefined,
    );
    expect(answers).toEqual([undefined, undefined, undefined, 'm1', 'm2']);
  });

  it('mark what waits, but not what is being answered', () => {
    const model = new Model();
    model.send();
    model.send();
    model.goes('processing', 1);
    const follower = new Follower(model);
    follower.join(model.told.length);
    const waits = transcriptRows(follower.state).map((row) => row.kind === 'message' && row.waits);
    expect(waits).toEqual([false, false, true, false]);
    expect(kinds(follower).at(-1)).toBe('reply reply-m1');
  });

  it('tell what was said elsewhere from what was said here', () => {
    const model = new Model();
    for (const reply of ['r1', 'r2']) {
      const { id } = model.send();
      model.start(reply, id);
      model.commit(id);
    }
    const follower = new Follower(model, model.told.length);
    const imported = (upTo?: number) =>
      transcriptRows(follower.state, undefined, upTo).flatMap((row) =>
        row.kind === 'message' ? [row.isImported] : [],
      );
    expect(imported(2)).toEqual([true, true, false, false]);
    expect(imported(4)).toEqual([true, true, true, true]);
    expect(imported()).toEqual([false, false, false, false]);
  });

  it('leave the last exchange open where a message after it was refused, not where one is about to be said', () => {
    const model = new Model();
    model.send();
    model.start('r', 'm1');
    model.commit('m1');
    const follower = new Follower(model, model.told.length);
    const open = () =>
      transcriptRows(follower.state).flatMap((row) => (row.kind === 'message' ? [row.isOpen] : []));
    const { createdAt } = message(1);
    follower.do({ type: 'typed', unsent: { clientId: 'k9', text: 'and', createdAt, status: 'waiting' } });
    expect(open()).toEqual([false, false]);
    const error = { code: 'rate_limited', detail: 'Too quick.' } as const;
    follower.do({ type: 'refused', clientId: 'k9', error });
    expect(open()).toEqual([true, true]);
  });

  it('begin each day anew and stand together within five minutes', () => {
    const model = new Model();
    const at = (createdAt: string) => model.send({ role: 'character', senderId: CHARACTER, createdAt });
    at('2026-11-20T10:00:00Z');
    at('2026-11-20T10:04:00Z');
    at('2026-11-20T10:20:00Z');
    at('2026-11-22T10:00:00Z');
    const follower = new Follower(model, 4);
    const rows = transcriptRows(follower.state).map((row) => (row.kind === 'day' ? 'day' : row.follows));
    expect(rows).toEqual(['day', false, true, false, 'day', false]);
  });
});
