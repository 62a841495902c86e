/** Who types and who is answered, in words. */
import { isAnswering, type ChatState } from '../chat/state';

/** `Anna is typing`, `Anna and Ben are typing`, `Anna, Ben and 2 others are typing`. */
export function typingWords(names: readonly string[]): string {
  const [first, second] = names;
  if (first === undefined) return '';
  if (second === undefined) return `${first} is typing`;
  if (names.length === 2) return `${first} and ${second} are typing`;
  const others = names.length - 2;
  return `${first}, ${second} and ${others} ${others === 1 ? 'other' : 'others'} are typing`;
}

/** Whose message is being answered; undefined while none is. */
export function answeredSender(state: ChatState): string | undefined {
  if (!isAnswering(state)) return undefined;
  const asked = state.replies.at(-1)?.inReplyTo;
  const found = state.messages.find(({ id, replyState }) =>
    asked === undefined ? replyState === 'due' : id === asked,
  );
  return found?.senderId;
}

/** The sender of the next message that waits here. */
export function nextSender(state: ChatState): string | undefined {
  return state.messages.find(({ replyState }) => replyState === 'due')?.senderId;
}

/** `2 before you`; empty when nothing is. */
export function aheadWords(ahead: number): string {
  return ahead === 0 ? 'You are next' : `${ahead} before you`;
}
