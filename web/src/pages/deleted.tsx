/** Conversations that were deleted of late, and can be had back. */
import { useState } from 'react';
import { useLocation } from 'wouter';
import type { Conversation } from '../api/types';
import { listDeleted } from '../app/library';
import { restoreConversation } from '../app/rooms';
import { useAction, useLoad } from '../lib/load';
import { shortTime } from '../lib/time';
import { useLastWords } from '../safety/blocked';
import { Avatar } from '../ui/avatar';
import { Empty, Failure, Loading } from '../ui/notice';
import { Page } from '../ui/page';

export function DeletedPage() {
  const [items, setItems] = useState<readonly Conversation[]>();
  const [cursor, setCursor] = useState<string | null>(null);
  const more = useAction();
  const read = async (from: string | undefined, signal?: AbortSignal) => {
    const page = await listDeleted(from, signal);
    setItems((known) => [...(from === undefined ? [] : (known ?? [])), ...page.items]);
    setCursor(page.nextCursor ?? null);
  };
  const { error, again } = useLoad('deleted', (signal) => read(undefined, signal));
  return (
    <Page title="Recently deleted" width="narrow" back={{ to: '/', label: 'All chats' }}>
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : items === undefined ? (
        <Loading label="Looking" />
      ) : items.length === 0 ? (
        <Empty icon="trash" title="Nothing here">
          <p className="empty__text">A conversation that you delete stays here for a while.</p>
        </Empty>
      ) : (
        <ul className="deleted">
          {items.map((item) => (
            <Deleted key={item.id} conversation={item} />
          ))}
        </ul>
      )}
      {cursor !== null && (
        <button
          type="button"
          className="button more"
          disabled={more.busy}
          onClick={() => void more.run(() => read(cursor))}
        >
          Show more
        </button>
      )}
    </Page>
  );
}

function Deleted({ conversation }: { conversation: Conversation }) {
  const { busy, error, run } = useAction();
  const [, go] = useLocation();
  const { id, character, title, lastMessage, deletedAt } = conversation;
  const said = useLastWords(lastMessage) ?? 'Nothing was said';
  return (
    <li className="deleted__one">
      <Avatar id={character.id} name={character.name} url={character.avatarUrl} />
      <div className="deleted__words">
        <p className="chat-list__name" dir="auto">
          {title}
        </p>
        <p className="chat-list__last">{said}</p>
        {error ? (
          <p className="said__trouble" role="alert">
            {error.message}
          </p>
        ) : (
          deletedAt && (
            <p className="chat-list__time">
              Deleted <time dateTime={deletedAt}>{shortTime(deletedAt)}</time>
            </p>
          )
        )}
      </div>
      <button
        type="button"
        className="button"
        aria-label={`Restore ${title}`}
        disabled={busy}
        onClick={() =>
          void run(async () => {
            await restoreConversation(id);
            go(`/c/${id}`);
          })
        }
      >
        Restore
      </button>
    </li>
  );
}
