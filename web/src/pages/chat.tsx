/** A conversation with a character. */
import { useEffect, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import type { Conversation } from '../api/types';
import {
  conversations,
  loadConversation,
  loadUsage,
  takeLastMessage,
  unused,
  usageLimits,
  usages,
} from '../app/library';
import { useWho } from '../app/who';
import { Chat } from '../chat/chat';
import { Composer } from '../chat/composer';
import { Transcript } from '../chat/transcript';
import { useLoad } from '../lib/load';
import { useUnblocked } from '../safety/blocked';
import { loadBlocks } from '../safety/safety';
import { recall, remember } from '../lib/storage';
import { useStore } from '../lib/store';
import { Avatar, moodWord } from '../ui/avatar';
import { DemoBanner, DemoChip } from '../ui/demo';
import { Icon } from '../ui/icons';
import { Failure, Loading } from '../ui/notice';
import { useTitle } from '../ui/page';

export function ChatPage({ id }: { id: string }) {
  const conversation = useStore(conversations).items.find((item) => item.id === id);
  const { error, again } = useLoad(conversation === undefined ? id : undefined, () => loadConversation(id));
  if (conversation !== undefined) return <OpenConversation conversation={conversation} />;
  return (
    <main className="page" id="content">
      <h1 className="sr-only">Conversation</h1>
      {error ? <Failure error={error} onRetry={again} /> : <Loading label="Opening the conversation" />}
      {error && (
        <p className="empty">
          <Link href="/" className="button">
            All chats
          </Link>
        </p>
      )}
    </main>
  );
}

function OpenConversation({ conversation }: { conversation: Conversation }) {
  const { id, character } = conversation;
  const { user, connection } = useWho();
  const [chat] = useState(() => new Chat(id, character.id, user.id, connection));
  const open = useStore(chat.store);
  const connectionState = useStore(connection.state);
  const [text, setText] = useState(() => recall(`draft.${id}`) ?? '');
  const known = useStore(usages)[character.id];
  const limits = useStore(usageLimits);
  const [search] = useSearchParams();
  const at = Number.parseInt(search.get('at') ?? '', 10);
  useLoad('usage', loadUsage);
  // Whose messages are folded; alone with a character there are none.
  useLoad(conversation.memberIds.length > 1 ? 'blocks' : undefined, loadBlocks);
  useTitle(character.name);

  useEffect(() => {
    chat.open();
    return () => chat.close();
  }, [chat]);

  const { state, error } = open;
  const heard = useUnblocked(state);
  const last = state.messages.at(-1);
  useEffect(() => {
    if (last !== undefined) takeLastMessage(last);
  }, [last]);

  const write = (next: string) => {
    setText(next);
    remember(`draft.${id}`, next);
  };

  const personality = state.messages.findLast((message) => message.role === 'character')?.personality;
  const mood = moodWord(personality);
  return (
    <main className="chat" id="content">
      <header className="chat__head">
        <Link href="/" className="icon-button chat__back" aria-label="All chats">
          <Icon name="back" />
        </Link>
        <Link href={`/characters/${character.id}`} className="chat__who">
          <Avatar
            id={character.id}
            name={character.name}
            url={character.avatarUrl}
            personality={personality}
          />
          <span className="chat__names">
            <h1 className="chat__name">{character.name}</h1>
            <span className="chat__mood">
              {mood === undefined ? 'About this character' : `seems ${mood}`}
            </span>
          </span>
        </Link>
        <DemoChip />
      </header>
      <div>
        <DemoBanner />
      </div>
      {error ? (
        <Failure error={error} onRetry={() => void chat.load()} />
      ) : state.loaded ? (
        <Transcript
          open={open}
          chat={chat}
          character={character}
          connected={connectionState === 'connected'}
          onEdit={write}
          at={Number.isNaN(at) ? undefined : at}
        />
      ) : (
        <Loading label="Loading messages" />
      )}
      {!error && (
        <Composer
          chat={chat}
          state={heard}
          connection={connectionState}
          name={character.name}
          usage={state.usage ?? known ?? (limits && unused(limits))}
          text={text}
          onText={write}
        />
      )}
    </main>
  );
}
