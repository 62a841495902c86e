import { describe, expect, it } from 'vitest';
import { cardOfText } from './files';

describe('copied text', () => {
  it.each(['{"name":"Mara"}', '\n  {\n"spec": 1}', '{ broken'])('may be a card: %j', (text) => {
    const file = cardOfText(text);
    expect(file?.size).toBe(text.length);
    expect(file?.type).toBe('application/json');
  });
  it.each(['', 'Hello', '[1]', 'see {"name":1}'])('is none: %j', (text) =>
    expect(cardOfText(text)).toBeUndefined(),
  );
});
