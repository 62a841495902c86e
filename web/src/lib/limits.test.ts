import { expect, it } from 'vitest';
import { refusal } from '../api/client';
import { withoutTime } from './limits';

const detail = 'Too many requests (api). Try again in 871 s.';

it('a limit is told in words for people, once and in minutes', () => {
  const told = refusal(429, '871', { code: 'rate_limited', detail }).message;
  expect(told).toBe('Too many requests. Try again in 15 min.');
  expect([withoutTime(told), withoutTime(detail)]).toEqual(['Too many requests.', 'Too many requests.']);
  const soon = refusal(429, '7', {
    code: 'rate_limited',
    detail: 'Too many requests (send). Try again in 7 s.',
  });
  expect(soon.message).toBe('Too many requests. Try again in 7 s.');
  expect(refusal(422, null, { detail: 'A name (of one’s own) is needed.' }).message).toContain(
    '(of one’s own)',
  );
});
