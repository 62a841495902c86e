/** One's conversations: a page of its own on a phone, the sidebar on a desk. */
import { Link, useLocation } from 'wouter';
import { useAgainOnceBack } from '../app/again';
import { conversations, loadConversations } from '../app/library';
import { shownCount } from '../app/listing';
import { useWho } from '../app/who';
import type { Conversation } from '../api/types';
import { isFollowed } from '../chat/chats';
import { useFirstUnsent } from '../chat/unsent';
import { plainText } from '../chat/words';
import { useAction, useLoad } from '../lib/load';
import { recall } from '../lib/storage';
import { useStore } from '../lib/store';
import { PartingNotice } from '../rooms/parting';
import { useLastWords } from '../safety/blocked';
import { shortTime } from '../lib/time';
import { Avatar } from '../ui/avatar';
import { Icon } from '../ui/icons';
import { Empty, Failure } from '../ui/notice';
import { Page } from '../ui/page';

export function ChatsPage() {
  return (
    <Page title="Chats" width="narrow">
      <PartingNotice />
      <div className="without-sidebar">
        <ChatList empty={<NoChats />} />
      </div>
      <div className="beside-sidebar">
        <NoChats />
      </div>
    </Page>
  );
}

function NoChats() {
  const { items, nextCursor } = useStore(conversations);
  const hasSome = items.length > 0;
  // Whether there are any is not known before the list was read, and the list says why it was not.
  if (nextCursor === undefined && !hasSome) return null;
  return (
    <Empty icon="chats" title={hasSome ? 'Where were you?' : 'No conversations yet'}>
      <p className="empty__text">
        {hasSome
          ? 'Go on with one of your conversations, or begin another.'
          : 'Choose a character and say hello. Every conversation stays here for you.'}
      </p>
      <Link href="/characters" className="button button--primary">
        Meet the characters
      </Link>
    </Empty>
  );
}

export function ChatList({ empty }: { empty?: React.ReactNode }) {
  const { items, nextCursor } = useStore(conversations);
  const { error, again } = useLoad(nextCursor === undefined ? 'conversations' : undefined, loadConversations);
  const more = useAction();
  useAgainOnceBack(error, again);
  if (error) return <Failure error={error} onRetry={again} />;
  if (nextCursor === undefined && items.length === 0) {
    return (
      <ul className="chat-list--loading" aria-hidden="true">
        {[0, 1, 2].map((one) => (
          <li key={one} className="skeleton" />
        ))}
      </ul>
    );
  }
  if (items.length === 0) {
    return (
      <>
        {empty ?? <p className="sidebar__title">None yet.</p>}
        <Link href="/deleted" className="chat-list__deleted">
          <Icon name="trash" /> Recently deleted
        </Link>
      </>
    );
  }
  return (
    <>
      <ul className="chat-list">
        {items.map((item) => (
          <li key={item.id}>
            <ChatLink conversation={item} />
          </li>
        ))}
      </ul>
      {nextCursor === null && (
        <Link href="/deleted" className="chat-list__deleted">
          <Icon name="trash" /> Recently deleted
        </Link>
      )}
      {nextCursor && (
        <button
          type="button"
          className="button more"
          disabled={more.busy}
          onClick={() => void more.run(loadConversations)}
        >
          Show more
        </button>
      )}
    </>
  );
}

function ChatLink({ conversation }: { conversation: Conversation }) {
  const [path] = useLocation();
  const { user } = useWho();
  const { id, character, title, branchOf, lastMessage, updatedAt, unread } = conversation;
  // A new name is news as well, but not something that was said.
  const at = lastMessage?.createdAt ?? updatedAt;
  const isOpen = path === `/c/${id}`;
  const unsent = useFirstUnsent(id);
  const draft = recall(`draft.${id}`);
  /** What of one's own is not said yet. */
  const [sign, mine] =
    unsent !== undefined
      ? [
          isFollowed(id) && unsent.status !== 'refused' ? 'Waiting: ' : 'Not sent: ',
          plainText(unsent.text) || (unsent.upload?.kind === 'audio' ? 'Voice message' : 'Picture'),
        ]
      : ['Draft: ', draft];
  const said = useLastWords(lastMessage) ?? 'Say hello';
  return (
    <Link
      href={`/c/${id}`}
      className={unread > 0 ? 'chat-list__one chat-list__one--unread' : 'chat-list__one'}
      aria-current={isOpen ? 'page' : undefined}
    >
      <Avatar
        id={character.id}
        name={character.name}
        url={character.avatarUrl}
        personality={lastMessage?.personality}
      />
      <span className="chat-list__words">
        <span className="chat-list__name" dir="auto">
          {branchOf && <Icon name="branch" />}
          {title}
          {branchOf && <span className="sr-only"> (a branch)</span>}
        </span>
        <time className="chat-list__time" dateTime={at}>
          {shortTime(at)}
        </time>
        <span className="chat-list__foot">
          <span className="chat-list__last" dir="auto">
            {isOpen || mine === undefined ? (
              lastMessage?.senderId === user.id ? (
                <>
                  You: <bdi>{said}</bdi>
                </>
              ) : (
                said
              )
            ) : (
              <>
                <span className="chat-list__draft">{sign}</span>
                <bdi>{mine}</bdi>
              </>
            )}
          </span>
          {unread > 0 && (
            <span className="unread">
              {shownCount(unread)}
              <span className="sr-only"> unread</span>
            </span>
          )}
        </span>
      </span>
    </Link>
  );
}
