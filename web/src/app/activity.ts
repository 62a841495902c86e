/** What happens in one's conversations while one looks elsewhere: the list follows it, and the tab counts what is unread. */
import { useEffect } from 'react';
import { useStore } from '../lib/store';
import type { ServerEvent } from '../live/events';
import type { Connection } from '../live/connection';
import { renewGalleries, renewGallery } from './gallery';
import { conversations, readConversation, refreshConversations, takeSaid } from './library';
import { readIn, shownCount, unreadIn } from './listing';
import { useWho } from './who';
import { loadBlocks } from '../safety/safety';

function follow(me: string, event: ServerEvent): void {
  switch (event.name) {
    case 'conversation:activity': {
      const { conversationId, lastMessage, lastSeq } = event.payload;
      takeSaid(me, conversationId, lastMessage, lastSeq);
      break;
    }
    case 'message:new': {
      const { message } = event.payload;
      takeSaid(me, message.conversationId, message, message.seq);
      break;
    }
    case 'message:updated': {
      const { message } = event.payload;
      const found = conversations.get().items.find((item) => item.id === message.conversationId);
      if (found?.lastSeq === message.seq) takeSaid(me, found.id, message, message.seq);
      break;
    }
    case 'message:removed':
      void readConversation(event.payload.conversationId);
      break;
    case 'conversation:read': {
      const { conversationId, seq, unread } = event.payload;
      const listing = conversations.get();
      const found = listing.items.find((item) => item.id === conversationId);
      // What was said since is not counted in it, or is: the server knows.
      if (found !== undefined && seq < found.lastSeq) void readConversation(conversationId);
      else conversations.set(readIn(listing, conversationId, unread));
      break;
    }
    case 'gallery:updated':
      // One that cannot be read is the one that is known.
      renewGallery(event.payload.characterId).catch(() => undefined);
      break;
    default:
  }
}

/** For as long as somebody is signed in. */
export function useActivity(): void {
  const { user, connection } = useWho();
  useEffect(() => connection.onEvent((event) => follow(user.id, event)), [user.id, connection]);
  // After a lost connection nobody knows what was missed.
  useEffect(() => {
    let wasLost = false;
    return connection.state.subscribe(() => {
      const now = connection.state.get();
      if (now === 'connected' && wasLost) {
        refreshConversations().catch(() => undefined);
        renewGalleries().catch(() => undefined);
        loadBlocks().catch(() => undefined);
      }
      wasLost = now !== 'connected';
    });
  }, [connection]);
  const unread = unreadIn(useStore(conversations));
  useEffect(() => {
    const count = () => {
      const title = document.title.replace(/^\(\d+\+?\) /, '');
      const counted = unread === 0 ? title : `(${shownCount(unread)}) ${title}`;
      if (document.title !== counted) document.title = counted;
    };
    count();
    // Pages name the tab as they open.
    const names = new MutationObserver(count);
    const element = document.querySelector('title');
    if (element !== null) names.observe(element, { childList: true });
    return () => names.disconnect();
  }, [unread]);
}

/** Marks are sent together: a reply and the next one are often read at once. */
const TOGETHER = 400;
const marks = new Map<string, number>();

function markLater(connection: Connection, conversationId: string, seq: number): void {
  const waits = marks.has(conversationId);
  marks.set(conversationId, Math.max(seq, marks.get(conversationId) ?? 0));
  if (waits) return;
  setTimeout(() => {
    const upTo = marks.get(conversationId) ?? seq;
    marks.delete(conversationId);
    // One that is lost is sent again with the next, or when the list is read after a reconnect.
    connection.ask('conversation:read', { conversationId, seq: upTo }).catch(() => undefined);
  }, TOGETHER);
}

/** While a conversation is open and the page is seen, all that the list knows of it is read. */
export function useReading(conversationId: string, isShown: boolean, connection: Connection): void {
  useEffect(() => {
    if (!isShown) return;
    const read = () => {
      if (document.visibilityState !== 'visible') return;
      const listing = conversations.get();
      const known = listing.items.find((item) => item.id === conversationId);
      if (known === undefined || known.unread === 0) return;
      markLater(connection, conversationId, known.lastSeq);
      conversations.set(readIn(listing, conversationId, 0));
    };
    read();
    document.addEventListener('visibilitychange', read);
    const stop = conversations.subscribe(read);
    return () => {
      document.removeEventListener('visibilitychange', read);
      stop();
    };
  }, [conversationId, isShown, connection]);
}
