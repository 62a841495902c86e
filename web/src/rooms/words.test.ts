import { describe, expect, it } from 'vitest';
import { message } from '../chat/model';
import { transcriptRows } from '../chat/rows';
import { emptyChat, type ChatState } from '../chat/state';
import { statusWords } from '../chat/words';
import { aheadWords, answeredSender, typingWords } from './words';

const chat = (more: Partial<ChatState> = {}): ChatState => ({
  ...emptyChat('c1', 'mara', 'me'),
  joined: true,
  ...more,
});
const nameOf = (id: string) => ({ anna: 'Anna', ben: 'Ben', cleo: 'Cleo', dan: 'Dan' })[id] ?? 'Somebody';
const from = (seq: number, senderId: string, more = {}) => message(seq, { senderId, ...more });
const status = (state: ChatState) => statusWords(state, 'connected', 'Mara', nameOf);

describe('a room of several people', () => {
  it('tells by name who types', () => {
    expect(typingWords([])).toBe('');
    expect(status(chat({ typists: ['anna'] }))).toBe('Anna is typing');
    expect(status(chat({ typists: ['anna', 'me', 'ben'] }))).toBe('Anna and Ben are typing');
    expect(status(chat({ typists: ['anna', 'ben', 'cleo'] }))).toBe('Anna, Ben and 1 other are typing');
    expect(status(chat({ typists: ['anna', 'ben', 'cleo', 'dan'] }))).toBe(
      'Anna, Ben and 2 others are typing',
    );
    expect(status(chat({ typists: ['me'] }))).toBe('You are typing on another device');
  });

  it('tells whose message is being answered, and whose is next', () => {
    const messages = [from(1, 'anna'), from(2, 'me')];
    const underWay = chat({ messages, phase: 'processing', pending: 1 });
    expect(answeredSender(underWay)).toBe('anna');
    expect(status(underWay)).toBe('Mara is answering Anna · 1 waiting');
    const mine = chat({
      messages: [from(1, 'anna', { replyState: 'done' }), from(2, 'me')],
      phase: 'processing',
    });
    expect(status(mine)).toBe('Mara is answering you');
    expect(status({ ...mine, typists: ['ben'] })).toBe('Mara is answering you · Ben is typing');
    const waits = chat({ messages: [from(1, 'anna')], phase: 'queued', pending: 1, position: 2 });
    expect(status(waits)).toBe('2 replies before that to Anna');
    expect(status({ ...waits, position: 0 })).toBe('Mara answers Anna next');
  });

  it('counts what is answered before a message that waits', () => {
    const messages = [from(1, 'anna'), from(2, 'ben'), from(3, 'me')];
    const ahead = (state: ChatState) =>
      transcriptRows(state).map((row) => (row.kind === 'message' && row.waits ? row.ahead : undefined));
    expect(ahead(chat({ messages, phase: 'processing', pending: 2 })).slice(1, 4)).toEqual([undefined, 1, 2]);
    // Others of the character come first where none is under way here.
    expect(ahead(chat({ messages, phase: 'queued', pending: 3, position: 2 })).slice(1, 4)).toEqual([
      2, 3, 4,
    ]);
    expect(aheadWords(2)).toBe('2 before you');
    expect(aheadWords(0)).toBe('You are next');
  });

  it('lets a guest change what answers their own message alone', () => {
    const reply = (inReplyTo: string) => message(2, { role: 'character', inReplyTo });
    const rows = (senderId: string) =>
      transcriptRows(
        chat({ messages: [from(1, senderId, { replyState: 'done' }), reply('m1')] }),
        (sender) => sender === 'me',
      ).map((row) => row.kind === 'message' && row.isOpen);
    expect(rows('anna').slice(1)).toEqual([false, false]);
    expect(rows('me').slice(1)).toEqual([true, true]);
  });
});
