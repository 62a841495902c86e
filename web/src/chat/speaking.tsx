/** Who speaks in a conversation: the persona that each plays there, and choosing one's own. */
import { createContext, use, useEffect, useMemo, useState, type ReactNode } from 'react';
import { Link } from 'wouter';
import type { Played } from '../api/types';
import { useOnceBack } from '../app/again';
import { choosePersona, loadPersonas, personas, readChoice, readPlayed } from '../app/personas';
import { useWho } from '../app/who';
import { useAction, useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { Avatar } from '../ui/avatar';
import { Dialog } from '../ui/dialog';
import { Icon } from '../ui/icons';
import { Failure, FormError, Loading } from '../ui/notice';

type All = Readonly<Record<string, Played>>;

interface Speakers {
  conversation: string;
  played: All;
  take: (played: All) => void;
}

const SpeakersContext = createContext<Speakers | undefined>(undefined);

/** For all that is shown of one conversation. */
export function SpeakersOf({ conversation, children }: { conversation: string; children: ReactNode }) {
  const [played, take] = useState<All>({});
  const { user, connection } = useWho();
  // The conversation works without: everybody is then called as before.
  const { again } = useLoad(`speakers ${conversation}`, async (signal) => {
    const read = await readPlayed(conversation);
    if (!signal.aborted) take(read);
  });
  // Nothing tells that somebody plays another one: it is seen by what they say next.
  useEffect(
    () =>
      connection.onEvent((event) => {
        if (event.name === 'message:new') {
          const { conversationId, role, senderId } = event.payload.message;
          if (conversationId === conversation && role === 'user' && senderId !== user.id) again();
        } else if (event.name === 'conversation:updated') {
          if (event.payload.conversation.id === conversation) again();
        }
      }),
    [connection, conversation, user.id, again],
  );
  useOnceBack(again);
  const speakers = useMemo(() => ({ conversation, played, take }), [conversation, played]);
  return <SpeakersContext value={speakers}>{children}</SpeakersContext>;
}

/** The persona that somebody plays here, if any. */
export function usePlayed(userId: string | undefined): Played | undefined {
  const played = use(SpeakersContext)?.played;
  return userId === undefined ? undefined : played?.[userId];
}

/** Above the first of somebody's messages that stand together. */
export function SpeakerLine({ speaker }: { speaker: Played }) {
  return (
    <p className="said__speaker" aria-hidden="true">
      <Avatar id={speaker.userId} name={speaker.name} url={speaker.avatarUrl} size="small" />
      <span>{speaker.name}</span>
    </p>
  );
}

export function SpeakingAs() {
  const { user } = useWho();
  const speakers = use(SpeakersContext);
  const mine = usePlayed(user.id);
  const [isOpen, setOpen] = useState(false);
  if (speakers === undefined) return null;
  const name = mine?.name ?? user.displayName;
  return (
    <>
      <button
        type="button"
        className="speaking"
        title={`Speaking as ${name}`}
        aria-haspopup="dialog"
        onClick={() => setOpen(true)}
      >
        <Avatar id={user.id} name={name} url={mine?.avatarUrl ?? user.avatarUrl} size="small" />
        <span className="sr-only">Speaking as </span>
        <span className="speaking__name">{name}</span>
      </button>
      {isOpen && <Choose speakers={speakers} onClose={() => setOpen(false)} />}
    </>
  );
}

function Choose({ speakers, onClose }: { speakers: Speakers; onClose: () => void }) {
  const { conversation, take } = speakers;
  const { user } = useWho();
  const all = useStore(personas);
  /** The id that is chosen here; null is the default one. */
  const [chosen, setChosen] = useState<string | null>();
  const { error, again } = useLoad(`choice ${conversation}`, async () => {
    const [choice] = await Promise.all([readChoice(conversation), loadPersonas()]);
    setChosen(choice.persona?.id ?? null);
  });
  const saving = useAction();
  const choose = async (id: string | null) => {
    const before = chosen;
    setChosen(id);
    const done = await saving.run(async () => {
      const { speaksAs } = await choosePersona(conversation, id);
      const { [user.id]: _, ...others } = speakers.played;
      const mine = speaksAs && {
        [user.id]: { userId: user.id, name: speaksAs.name, avatarUrl: speaksAs.avatarUrl ?? null },
      };
      take({ ...others, ...mine });
    });
    if (!done) setChosen(before);
  };
  const standing = all?.find((one) => one.isDefault);
  return (
    <Dialog title="Speaking as" onClose={onClose}>
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : all === undefined || chosen === undefined ? (
        <Loading />
      ) : (
        <fieldset className="choices" disabled={saving.busy}>
          <legend className="sr-only">Who you are in this chat</legend>
          <label className="choice">
            <input type="radio" name="persona" checked={chosen === null} onChange={() => void choose(null)} />
            <span>
              {standing?.name ?? user.displayName}
              <small>{standing ? 'Your default persona, whichever that is' : 'Yourself'}</small>
            </span>
          </label>
          {all.map((persona) => (
            <label className="choice" key={persona.id}>
              <input
                type="radio"
                name="persona"
                checked={chosen === persona.id}
                onChange={() => void choose(persona.id)}
              />
              <Avatar id={persona.id} name={persona.name} url={persona.avatarUrl} size="small" />
              <span>
                {persona.name}
                <small className="persona__about">{persona.description}</small>
              </span>
            </label>
          ))}
        </fieldset>
      )}
      <FormError error={saving.error} />
      <p className="field__hint">
        All that you said in this chat is shown under this name as well. The character knows of it from its
        next reply on.
      </p>
      <div className="dialog__actions">
        <Link href="/settings#personas" className="button">
          <Icon name="people" /> Your personas
        </Link>
        <button type="button" className="button button--primary" onClick={onClose}>
          Done
        </button>
      </div>
    </Dialog>
  );
}
