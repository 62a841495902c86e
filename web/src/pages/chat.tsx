/** A conversation with a character. */
import { useEffect, useEffectEvent, useRef, useState, type ReactNode } from 'react';
import { Link, Redirect, useSearchParams } from 'wouter';
import type { Conversation } from '../api/types';
import {
  conversations,
  loadConversation,
  loadUsage,
  takeSaid,
  unused,
  usageLimits,
  usages,
} from '../app/library';
import { useReading } from '../app/activity';
import { useAgainOnceBack } from '../app/again';
import { gone, takeRemoved } from '../app/rooms';
import { useWho } from '../app/who';
import { chatOf, leaveChat, openChat } from '../chat/chats';
import { Composer } from '../chat/composer';
import type { Edit } from '../chat/edits';
import { Face, useFace } from '../chat/face';
import { ConversationMenu, Renaming } from '../chat/menu';
import { Origin } from '../chat/origin';
import { SpeakersOf, SpeakingAs } from '../chat/speaking';
import { Transcript } from '../chat/transcript';
import { useKeptFocus } from '../lib/focus';
import { useLoad } from '../lib/load';
import { useUnblocked } from '../safety/blocked';
import { loadBlocks } from '../safety/safety';
import { recall, remember } from '../lib/storage';
import { useStore } from '../lib/store';
import { showToast } from '../lib/toasts';
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
  useAgainOnceBack(error, again);
  if (isGone && conversation === undefined) return <Redirect to="/" replace />;
  if (conversation !== undefined)
    return (
      <SpeakersOf conversation={id}>
        <OpenConversation conversation={conversation} />
      </SpeakersOf>
    );
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
  const { id, character, title, removals, lastSeq } = conversation;
  const { user, connection } = useWho();
  const [chat] = useState(() => chatOf(id, character.id, user.id, connection, removals));
  const [renames, setRenames] = useState(false);
  const main = useRef<HTMLElement>(null);
  useKeptFocus(main);
  const open = useStore(chat.store);
  const connectionState = useStore(connection.state);
  const [text, setText] = useState(() => recall(`draft.${id}`) ?? '');
  const known = useStore(usages)[character.id];
  const limits = useStore(usageLimits);
  const [search] = useSearchParams();
  const at = Number.parseInt(search.get('at') ?? '', 10);
  useLoad('usage', loadUsage);
  useTitle(title);

  useEffect(() => {
    openChat(chat);
    return () => leaveChat(chat);
  }, [chat]);

  const { state, error } = open;
  const heard = useUnblocked(state);
  const room = useRoomOf(conversation, state);
  // Whose messages are folded; where nobody else spoke there are none.
  useLoad(room.several ? 'blocks' : undefined, loadBlocks);
  useEffect(() => {
    // It was read, so this person was in it; word of that may have been lost.
    if (error?.code === 'not_found') takeRemoved(id);
  }, [error, id]);
  const last = state.messages.at(-1);
  useEffect(() => {
    if (last !== undefined && last.seq > lastSeq) takeSaid(user.id, id, last, last.seq);
  }, [last, lastSeq, user.id, id]);
  useReading(id, state.loaded, connection);

  const write = (next: string) => {
    setText(next);
    remember(`draft.${id}`, next);
  };

  const onLost = useEffectEvent(({ text: typed }: Edit) => {
    write([text, typed].filter((one) => one !== '').join('\n\n'));
    const words =
      'What you were changing was deleted in another place. What you wrote is in the message box.';
    showToast(words, 'Take it out', () => {
      write((recall(`draft.${id}`) ?? '').replace(typed, '').trim());
      return Promise.resolve();
    });
  });
  useEffect(() => chat.onLost((edit) => onLost(edit)), [chat]);

  const personality = state.messages.findLast((message) => message.role === 'character')?.personality;
  const mood = moodWord(personality);
  const face = useFace(character.id, personality);
  const isOwner = conversation.ownerId === user.id;
  const about = isOwner ? 'About this character' : 'You are a guest here';
  const named = title === character.name ? '' : `${character.name} · `;
  return (
    <RoomContext value={room}>
      <main className={face === undefined ? 'chat' : 'chat chat--faced'} id="content" ref={main}>
        <header className="chat__head">
          <Link href="/" className="icon-button chat__back" aria-label="All chats">
            <Icon name="back" />
          </Link>
          {renames ? (
            <>
              <h1 className="sr-only">{title}</h1>
              <Renaming conversation={conversation} onDone={() => setRenames(false)} />
            </>
          ) : (
            <Who character={isOwner ? character.id : undefined}>
              <Avatar
                id={character.id}
                name={character.name}
                url={face?.thumbnailUrl ?? character.avatarUrl}
                personality={personality}
              />
              <span className="chat__names">
                <h1 className="chat__name" dir="auto">
                  {title}
                </h1>
                <span className="chat__mood">
                  {named}
                  {mood === undefined ? about : `seems ${mood}`}
                </span>
              </span>
            </Who>
          )}
          <SpeakingAs />
          <DemoChip />
          <PeopleButton conversation={conversation} />
          {isOwner && (
            <ConversationMenu
              conversation={conversation}
              renames={renames}
              onRename={() => setRenames(true)}
            />
          )}
        </header>
        <div>
          <DemoBanner />
          <Origin conversation={conversation} />
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
            importedSeq={conversation.importedSeq ?? undefined}
            at={Number.isNaN(at) ? undefined : at}
          />
        ) : (
          <Loading label="Loading messages" />
        )}
        {face !== undefined && <Face picture={face} name={character.name} mood={mood} />}
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
