/** One thing that was said, is being said, or could not be sent. */
import { memo, useRef, type ReactNode } from 'react';
import { flushSync } from 'react-dom';
import type { CharacterSummary, Message, Personality, Played } from '../api/types';
import { useWho } from '../app/who';
import { useFocusBack } from '../lib/focus';
import { withoutTime } from '../lib/limits';
import { useAction } from '../lib/load';
import { SafetyActions } from '../safety/actions';
import { Folded } from '../safety/blocked';
import { blocks, isBlocked } from '../safety/safety';
import { useStore } from '../lib/store';
import { clockTime, fullTime, lengthOfTime, useNow } from '../lib/time';
import type { EventError, ReplyUnderWay } from '../live/events';
import { useRoom } from '../rooms/room';
import { aheadWords } from '../rooms/words';
import { Avatar, moodWord } from '../ui/avatar';
import { Icon } from '../ui/icons';
import { Markdown } from '../ui/markdown';
import { Editing, Variants } from './changing';
import type { Chat } from './chat';
import type { Edit } from './edits';
import { ShownMedia } from './media';
import { Branch, RemoveExchange } from './parting';
import { SpeakerLine, usePlayed } from './speaking';
import type { Unsent } from './state';
import { plainText } from './words';

interface Face {
  id: string;
  name: string;
  url: string | null | undefined;
}

function Said(props: {
  mine: boolean;
  follows: boolean;
  look?: string;
  from: string;
  character?: CharacterSummary | undefined;
  /** Somebody else who is in the conversation, and says this. */
  other?: Face | undefined;
  personality?: Personality | null | undefined;
  /** The persona that one plays oneself; another's is who they are here. */
  speaker?: Played | undefined;
  answers?: Message | undefined;
  children: ReactNode;
}) {
  const classes = ['said'];
  if (props.mine) classes.push('said--mine');
  if (props.follows) classes.push('said--follows');
  if (props.look) classes.push(props.look);
  const { character, other } = props;
  if (other) classes.push('said--other');
  return (
    <div className={classes.join(' ')}>
      {other !== undefined && (
        <div className="said__avatar">{!props.follows && <Avatar {...other} size="small" />}</div>
      )}
      {character !== undefined && (
        <div className="said__avatar">
          {!props.follows && (
            <Avatar
              id={character.id}
              name={character.name}
              url={character.avatarUrl}
              size="small"
              personality={props.personality}
            />
          )}
        </div>
      )}
      <div className="said__body">
        {other !== undefined && !props.follows ? (
          <p className="said__name" dir="auto">
            {props.from}
            <span className="sr-only">:</span>
          </p>
        ) : (
          <span className="sr-only">{props.from}:</span>
        )}
        {props.speaker !== undefined && !props.follows && <SpeakerLine speaker={props.speaker} />}
        {props.answers !== undefined && <Quote answers={props.answers} />}
        {props.children}
      </div>
    </div>
  );
}

function Quote({ answers }: { answers: Message }) {
  const blocked = isBlocked(useStore(blocks), answers.senderId);
  return (
    <p className="said__quote">
      <span className="sr-only">In reply to: </span>
      {blocked ? 'Message of a blocked person.' : <bdi>{plainText(answers.text)}</bdi>}
    </p>
  );
}

/** A message that the server has stored. */
export const SaidMessage = memo(function SaidMessage(props: {
  message: Message;
  isMine: boolean;
  follows: boolean;
  last: boolean;
  waits: boolean;
  ahead: number;
  answers: Message | undefined;
  failure: EventError | undefined;
  /** Nothing was said after it, and nothing is under way: it can be changed. */
  isOpen: boolean;
  /** It was said elsewhere: no model is asked about it. */
  isImported: boolean;
  /** Its editor, where that is open. */
  edit: Edit | undefined;
  character: CharacterSummary;
  chat: Chat;
}) {
  const { message, isMine, character, chat, edit } = props;
  const opener = useRef<HTMLButtonElement>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  useFocusBack(edit !== undefined, opener);
  // An editor that comes back with its row takes the focus from nothing.
  const openEditor = () => {
    flushSync(() => chat.beginEdit(message));
    box.current?.focus();
  };
  const isCharacter = message.role === 'character';
  // One's own message is asked again, a reply only says something else.
  const isEditable =
    props.isOpen && (isCharacter || (isMine && !props.isImported)) && message.type === 'text';
  const mood = moodWord(message.personality);
  const room = useRoom();
  const sender = room.person(message.senderId);
  const speaker = usePlayed(isCharacter ? undefined : message.senderId);
  const name = speaker?.name ?? room.name(message.senderId);
  const somebody = isMine ? (speaker ? `You, as ${speaker.name}` : 'You') : name;
  const from = isCharacter ? `${character.name}${mood ? `, ${mood}` : ''}` : somebody;
  const bubble = (message.text !== '' || !message.media) && (
    <div className="bubble">
      <Markdown text={message.text} />
    </div>
  );
  return (
    <Said
      mine={isMine}
      follows={props.follows}
      from={from}
      character={isCharacter ? character : undefined}
      other={
        isCharacter || isMine
          ? undefined
          : { id: message.senderId, name, url: speaker?.avatarUrl ?? sender?.avatarUrl }
      }
      personality={message.personality}
      speaker={isMine ? speaker : undefined}
      answers={props.answers}
    >
      <Folded sender={message.senderId}>
        {message.media && <ShownMedia media={message.media} type={message.type} from={from} />}
        {edit !== undefined && isEditable ? (
          <Editing message={message} edit={edit} chat={chat} ref={box} />
        ) : isCharacter && props.isOpen ? (
          <Variants
            reply={message}
            failure={props.failure}
            isImported={props.isImported}
            chat={chat}
            edit={
              <button
                type="button"
                className="variants__button"
                ref={opener}
                aria-label="Edit the reply"
                title="Edit the reply"
                onClick={openEditor}
              >
                <Icon name="edit" />
              </button>
            }
          >
            {bubble}
          </Variants>
        ) : (
          bubble
        )}
      </Folded>
      <div className="said__meta">
        {isEditable && isMine && edit === undefined && (
          <button type="button" className="link-button" ref={opener} onClick={openEditor}>
            Edit
          </button>
        )}
        {props.isOpen && isMine && edit === undefined && <RemoveExchange message={message} chat={chat} />}
        <Branch message={message} chat={chat} />
        {props.waits && (
          <>
            <Icon name="clock" />
            <span>Waiting for its turn</span>
            {room.several && isMine && <span>{aheadWords(props.ahead)}</span>}
          </>
        )}
        {props.last && (
          <time dateTime={message.createdAt} title={fullTime(message.createdAt)}>
            {clockTime(message.createdAt)}
          </time>
        )}
        {!isMine && (
          <SafetyActions
            what={{
              kind: isCharacter ? 'reply' : 'message',
              id: message.id,
              conversationId: message.conversationId,
            }}
            label={isCharacter ? 'More about this reply' : 'More about this message'}
            author={isCharacter ? undefined : message.senderId}
          />
        )}
      </div>
      {(message.replyState === 'failed' || message.replyState === 'cancelled') && (
        <Unanswered
          message={message}
          failure={props.failure}
          chat={chat}
          name={character.name}
          decides={room.decides(message.senderId) && !props.isImported}
        />
      )}
    </Said>
  );
});

function Unanswered(props: {
  message: Message;
  failure: EventError | undefined;
  chat: Chat;
  name: string;
  decides: boolean;
}) {
  const { busy, error, run } = useAction();
  const isFailed = props.message.replyState === 'failed';
  const why = isFailed
    ? `${props.name} could not reply. ${props.failure?.detail ?? ''}`
    : // Stopped, or left behind where a branch begins.
      'There is no reply to this.';
  return (
    <p className="said__meta" role={isFailed ? 'alert' : undefined}>
      <span className={isFailed ? 'said__trouble' : undefined}>{error?.message ?? why.trim()}</span>
      {props.decides && (
        <button
          type="button"
          className="link-button"
          disabled={busy}
          onClick={() => void run(() => props.chat.retryReply(props.message.id))}
        >
          {isFailed ? 'Try again' : 'Ask again'}
        </button>
      )}
    </p>
  );
}

/** A reply as it comes in; before its first word, the three dots of someone who types. */
export function SaidReply(props: {
  reply: ReplyUnderWay | undefined;
  follows: boolean;
  answers: Message | undefined;
  character: CharacterSummary;
}) {
  const text = props.reply?.text ?? '';
  const { character } = props;
  return (
    <Said
      mine={false}
      follows={props.follows}
      from={character.name}
      character={character}
      answers={props.answers}
    >
      {text === '' ? (
        <div className="bubble bubble--typing">
          <span className="dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          <span className="sr-only">is typing</span>
        </div>
      ) : (
        <div className="bubble bubble--streaming" data-streaming="true">
          <Markdown text={text} />
        </div>
      )}
      <p className="said__meta">&nbsp;</p>
    </Said>
  );
}

/** One's own message on its way, or refused with a way to send it again. */
export function SaidUnsent(props: {
  unsent: Unsent;
  follows: boolean;
  connected: boolean;
  chat: Chat;
  onEdit: (text: string) => void;
}) {
  const { unsent, chat } = props;
  const isRefused = unsent.status === 'refused';
  const { user } = useWho();
  const speaker = usePlayed(user.id);
  return (
    <Said
      mine
      follows={props.follows}
      from={speaker ? `You, as ${speaker.name}` : 'You'}
      speaker={speaker}
      look={isRefused ? 'said--unsent said--refused' : 'said--unsent'}
    >
      <div className="bubble">
        {unsent.upload && (
          <p className="said__attached">
            <Icon name={unsent.upload.kind === 'audio' ? 'microphone' : 'attach'} />
            {unsent.upload.kind === 'audio' ? 'Voice message' : 'Picture'}
          </p>
        )}
        {unsent.text !== '' && <Markdown text={unsent.text} />}
      </div>
      {isRefused ? (
        <Refused unsent={unsent} chat={chat} onEdit={props.onEdit} />
      ) : (
        <p className="said__meta">{props.connected ? 'Sending…' : 'Waiting for the connection'}</p>
      )}
    </Said>
  );
}

function Refused({ unsent, chat, onEdit }: { unsent: Unsent; chat: Chat; onEdit: (text: string) => void }) {
  const now = useNow(unsent.retryAt === undefined ? undefined : 1_000);
  const left = (unsent.retryAt ?? 0) - now;
  const cannotPass = unsent.error?.code === 'validation' || unsent.error?.code === 'payload_too_large';
  return (
    <p className="said__meta" role="alert">
      <span className="said__trouble">Not sent. {withoutTime(unsent.error?.detail ?? '')}</span>
      {cannotPass ? (
        <button
          type="button"
          className="link-button"
          onClick={() => {
            onEdit(unsent.text);
            chat.discard(unsent.clientId);
          }}
        >
          Edit
        </button>
      ) : (
        <button
          type="button"
          className="link-button"
          disabled={left > 0}
          onClick={() => void chat.resend(unsent.clientId)}
        >
          {left > 0 ? `Send again in ${lengthOfTime(left)}` : 'Send again'}
        </button>
      )}
      <button type="button" className="link-button" onClick={() => chat.discard(unsent.clientId)}>
        Discard
      </button>
    </p>
  );
}
