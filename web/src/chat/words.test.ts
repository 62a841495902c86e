import { describe, expect, it } from 'vitest';
import type { Usage } from '../api/types';
import { emptyChat, type ChatState } from './state';
import { deviceName, limitWords, placeWords, plainText, statusWords, usageWords } from './words';

const chat = (more: Partial<ChatState> = {}): ChatState => ({
  ...emptyChat('c1', 'mara', 'me'),
  joined: true,
  ...more,
});
const usage = (used: number, resetsAt: string | null, limit: number | null = 30): Usage => ({
  text: { used, limit, remaining: limit === null ? null : limit - used },
  audio: { used: 0, limit: 5, remaining: 5 },
  image: { used: 0, limit: 5, remaining: 5 },
  resetsAt,
});

describe('the line above the composer', () => {
  it('tells the place in the line', () => {
    expect(placeWords(2, 'Mara')).toBe('2 replies before yours');
    expect(placeWords(1, 'Mara')).toBe('1 reply before yours');
    expect(placeWords(0, 'Mara')).toBe('Mara answers you next');
    expect(statusWords(chat({ phase: 'queued', pending: 1, position: 2 }), 'connected', 'Mara')).toBe(
      '2 replies before yours',
    );
    expect(statusWords(chat({ phase: 'queued', pending: 3, position: 1 }), 'connected', 'Mara')).toBe(
      '1 reply before yours · 3 waiting',
    );
  });

  it('tells who types and what waits', () => {
    expect(statusWords(chat(), 'connected', 'Mara')).toBe('');
    expect(statusWords(chat({ phase: 'processing' }), 'connected', 'Mara')).toBe('Mara is typing');
    expect(statusWords(chat({ phase: 'processing', pending: 1 }), 'connected', 'Mara')).toBe(
      'Mara is typing · 1 waiting',
    );
    expect(statusWords(chat({ typists: ['me'] }), 'connected', 'Mara')).toBe(
      'You are typing on another device',
    );
    expect(statusWords(chat({ typists: ['me', 'you'] }), 'connected', 'Mara')).toBe('1 person typing');
  });

  it('tells a lost connection before all else', () => {
    expect(statusWords(chat({ phase: 'processing' }), 'reconnecting', 'Mara')).toBe('Reconnecting…');
    expect(statusWords(chat({ phase: 'processing' }), 'offline', 'Mara')).toBe('Offline');
  });
});

describe('the allowance of a day', () => {
  const now = new Date(2026, 10, 23, 12, 0);
  const inTwoHours = new Date(2026, 10, 23, 14, 0).toISOString();

  it('is told with the time when it is whole again', () => {
    expect(usageWords(usage(3, inTwoHours), now)?.left).toBe('27 of 30 left');
    expect(usageWords(usage(3, inTwoHours), now)?.until).toMatch(/^until 0?(14|2):00/);
    expect(usageWords(usage(0, null), now)).toEqual({ left: '30 of 30 left', until: '' });
    expect(usageWords(usage(99, null, null), now)).toBeUndefined();
  });

  it('stops sending when it is spent, until its time is over', () => {
    expect(limitWords(usage(29, inTwoHours), 'Mara', now.getTime())).toBeUndefined();
    expect(limitWords(usage(30, inTwoHours), 'Mara', now.getTime())).toMatch(
      /^You have sent Mara all 30 messages of today\. You can write again in 2 h, at /,
    );
    expect(limitWords(usage(30, inTwoHours), 'Mara', new Date(inTwoHours).getTime() + 1)).toBeUndefined();
    expect(limitWords(usage(99, null, null), 'Mara', now.getTime())).toBeUndefined();
  });
});

describe('texts of others', () => {
  it('lose their marks on one line', () => {
    expect(plainText('*She nods.* **Hold** `that`\n\n- [rope](https://x.test)')).toBe(
      'She nods. Hold that rope',
    );
    expect(plainText('2 * 3 * 4 is snake_case_too')).toBe('2 * 3 * 4 is snake_case_too');
  });

  it('lose their HTML, and the fences of code', () => {
    expect(plainText('<div style="x"><b>Mara</b>&nbsp;Vale<br>sails</div><!-- no --><p>On</p>')).toBe(
      'Mara Vale sails On',
    );
    expect(plainText('<img src="https://x.test/a.png" alt="A view"> a < b <3 `<b>`')).toBe(
      'A view a < b <3 <b>',
    );
    expect(plainText('Look:\n```js\nlet a = "<i>";\n```\nso')).toBe('Look: let a = "<i>"; so');
  });

  it('name a device by its browser and system', () => {
    const chrome =
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36';
    expect(deviceName(chrome)).toBe('Chrome on Linux');
    expect(deviceName(`${chrome} Edg/140.0`)).toBe('Edge on Linux');
    expect(deviceName('curl/8.0')).toBe('curl/8.0');
    expect(deviceName('')).toBe('Unknown device');
  });
});
