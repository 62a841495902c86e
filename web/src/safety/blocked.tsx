/** Those whom one blocked, in the settings; and what stands in the place of what they say. */
import { useState, type ReactNode } from 'react';
import type { Message } from '../api/types';
import { useWho } from '../app/who';
import { useAction, useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { dayName } from '../lib/time';
import { Avatar } from '../ui/avatar';
import { Failure, FormError, Loading } from '../ui/notice';
import { blocks, inALine, isBlocked, isOfAnother, loadBlocks, unblock } from './safety';

export function BlockedPeople() {
  const now = useStore(blocks);
  const { error, again } = useLoad('blocks', loadBlocks);
  const { busy, error: refused, run } = useAction();
  return (
    <section className="group">
      <h2>Blocked people</h2>
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : now === undefined ? (
        <Loading />
      ) : now.length === 0 ? (
        <p>
          None. Whom you block cannot bring you into a conversation, and their characters are in none of your
          lists.
        </p>
      ) : (
        <ul className="rows">
          {now.map(({ user, createdAt }) => (
            <li className="row" key={user.id}>
              <Avatar id={user.id} name={user.displayName} url={user.avatarUrl} size="small" />
              <div className="row__words">
                {user.displayName}
                <small>
                  @{user.username}, since {dayName(createdAt).toLowerCase()}
                </small>
              </div>
              <button
                type="button"
                className="button"
                aria-label={`Unblock ${user.displayName}`}
                disabled={busy}
                onClick={() => void run(() => unblock(user.id))}
              >
                Unblock
              </button>
            </li>
          ))}
        </ul>
      )}
      <FormError error={refused} />
    </section>
  );
}

/** A chat without word of what blocked people type. */
export function useUnblocked<Chat extends { readonly typists: readonly string[] }>(chat: Chat): Chat {
  const now = useStore(blocks);
  const typists = chat.typists.filter((id) => !isBlocked(now, id));
  return typists.length === chat.typists.length ? chat : { ...chat, typists };
}

/** What was said last, in the line of a list; undefined where nothing was. */
export function useLastWords(message: Message | null | undefined): string | undefined {
  const me = useWho().user.id;
  useLoad(message && isOfAnother(message, me) ? 'blocks' : undefined, loadBlocks);
  const now = useStore(blocks);
  return message ? inALine(now, me, message) : undefined;
}

/** What a blocked person said, folded until one wants to see it. */
export function Folded({ sender, children }: { sender: string; children: ReactNode }) {
  const blocked = isBlocked(useStore(blocks), sender);
  const [shown, setShown] = useState(false);
  if (!blocked || shown) return children;
  return (
    <p className="bubble bubble--folded">
      Message of a blocked person.{' '}
      <button type="button" className="link-button" onClick={() => setShown(true)}>
        Show
      </button>
    </p>
  );
}
