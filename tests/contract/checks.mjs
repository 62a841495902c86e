// What holds for every conversation and every reply, whatever happened on the way.

import assert from 'node:assert/strict';
import { piecesFor, markerOf } from './model.mjs';

/**
 * The events that one socket saw of one message, from the message to its reply: in the order of the contract, offsets
 * without a gap, deltas that add up. Answers the reply.
 */
export function assertWholeReply(socket, messageId) {
  const at = (event, matches, after = -1) => socket.seen.findIndex((one, i) => i > after && one.event === event && matches(one.payload));
  const asked = at('message:new', ({ message }) => message.id === messageId);
  const started = at('reply:start', ({ inReplyTo }) => inReplyTo === messageId);
  const replied = at('message:new', ({ message }) => message.inReplyTo === messageId);
  assert.ok(asked >= 0 && asked < started && started < replied, `order: message ${asked}, start ${started}, reply ${replied}`);
  const replyId = socket.seen[started].payload.messageId;
  const { message: reply } = socket.seen[replied].payload;
  assert.equal(reply.id, replyId, 'the reply has the id that its start announced');
  let text = '';
  for (const [i, { event, payload }] of socket.seen.entries()) {
    if (event !== 'reply:delta' || payload.messageId !== replyId) continue;
    assert.ok(i > started && i < replied, 'a delta comes between its start and its reply');
    assert.equal(payload.offset, text.length, 'offsets count UTF-16 code units without a gap');
    text += payload.text;
  }
  assert.equal(text, reply.text, 'deltas add up to the reply');
  return reply;
}

/** The text that the model gives to a message with this text, once cleaned up. */
export const expectedReply = (text, chunks) => piecesFor(markerOf(text), chunks).join('').trim();

/** `seq` is 1, 2, 3 … , and every accepted message has exactly one reply. */
export function assertAllAnsweredOnce(messages, acceptedIds) {
  assert.deepEqual(messages.map((message) => message.seq), messages.map((_, i) => i + 1), 'seq counts without a gap');
  for (const id of acceptedIds) {
    assert.equal(messages.filter((message) => message.id === id).length, 1, `the message ${id} is stored once`);
    const replies = messages.filter((message) => message.inReplyTo === id);
    assert.equal(replies.length, 1, `the message ${id} has one reply`);
    assert.equal(messages.find((message) => message.id === id).replyState, 'done');
  }
}
