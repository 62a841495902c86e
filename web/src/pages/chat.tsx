/** A conversation with a character. */
import { useEffect, useState, type ReactNode } from 'react';
import { Link, Redirect, useSearchParams } from 'wouter';
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
import { gone, takeRemoved } from '../app/rooms';
import { useWho } from '../app/who';
import { Chat } from '../chat/chat';
import { Composer } from '../chat/composer';
import { Transcript } from '../chat/transcript';
import { useLoad } from '../lib/load';
import { recall, remember } from '../lib/storage';
import { useStore } from '../lib/store';
import { PeopleButton } from '../rooms/people';
import { RoomContext, useRoomOf } from '../rooms/room';
import { Avatar, moodWord } from '../ui/avatar';
import { DemoBanner, DemoChip } from '../ui/demo';
import { Icon } from '../ui/icons';
import { Failure, Loading } from '../ui/notice';
import { useTitle } from '../ui/page';

export function ChatPage({ id }: { id: string }) {
  const conversation = useStore(conversations).items.find((item) => item.id === id);
  const isGone = id in useStore(gone);
  const { error, again } = useLoad(conversation === undefined && !isGone ? id : undefined, () =>
    loadConversation(id),
  );
  if (isGone) return <Redirect to="/" replace />;
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
  useTitle(character.name);

  useEffect(() => {
    chat.open();
    return () => chat.close();
  }, [chat]);

  const { state, error } = open;
  const room = useRoomOf(conversation, state);
  useEffect(() => {
    // It was read, so this person was in it; word of that may have been lost.
    if (error?.code === 'not_found') takeRemoved(id);
  }, [error, id]);
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
  const about = conversation.ownerId === user.id ? 'About this character' : 'You are a guest here';
  const title = conversation.title === character.name ? '' : `${conversation.title} · `;
  return (
    <RoomContext value={room}>
      <main className="chat" id="content">
        <header className="chat__head">
          <Link href="/" className="icon-button chat__back" aria-label="All chats">
            <Icon name="back" />
          </Link>
          <Who character={conversation.ownerId === user.id ? character.id : undefined}>
            <Avatar
              id={character.id}
              name={character.name}
              url={character.avatarUrl}
              personality={personality}
            />
            <span className="chat__names">
              <h1 className="chat__name">{character.name}</h1>
              <span className="chat__mood">
                {title}
                {mood === undefined ? about : `seems ${mood}`}
              </span>
            </span>
          </Who>
          <DemoChip />
          <PeopleButton conversation={conversation} />
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
            state={state}
            connection={connectionState}
            name={character.name}
            usage={state.usage ?? known ?? (limits && unused(limits))}
            text={text}
            onText={write}
          />
        )}
      </main>
    </RoomContext>
  );
}

/** Leads to the character's page, which is not there for guests of somebody's private one. */
function Who({ character, children }: { character: string | undefined; children: ReactNode }) {
  if (character === undefined) return <div className="chat__who">{children}</div>;
  return (
    <Link href={`/characters/${character}`} className="chat__who">
      {children}
    </Link>
  );
}
