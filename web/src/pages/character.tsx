/** A character's sheet: who it is, and the way into a conversation. */
import { useRef, useState } from 'react';
import { Link, useLocation } from 'wouter';
import {
  beginConversation,
  conversations,
  deleteCharacter,
  loadCharacter,
  loadWholeCharacter,
  openConversation,
  useWholeCharacter,
} from '../app/library';
import { useTold } from '../app/told';
import { useListPath } from '../app/way-back';
import { useWho } from '../app/who';
import type { Character, Conversation } from '../api/types';
import { useKeptFocus } from '../lib/focus';
import { useAction, useLoad } from '../lib/load';
import { SafetyActions } from '../safety/actions';
import { DeedDialog } from '../safety/deed';
import { useStore } from '../lib/store';
import { Avatar } from '../ui/avatar';
import { Confirm } from '../ui/dialog';
import { Heart } from '../ui/heart';
import { Icon } from '../ui/icons';
import { Markdown } from '../ui/markdown';
import { Failure, FormError, Loading, Notice } from '../ui/notice';
import { useHeadingFocus, useTitle } from '../ui/page';
import { Gallery } from './gallery';
import { ImportChat } from './import/import-chat';

export function CharacterPage({ id }: { id: string }) {
  const character = useWholeCharacter(id);
  const { error, again } = useLoad(character === undefined ? id : undefined, () => loadWholeCharacter(id));
  const list = useListPath();
  const main = useRef<HTMLElement>(null);
  useKeptFocus(main);
  return (
    <main className="page" id="content" ref={main}>
      <div className="page__inner page__inner--narrow">
        <header className="page__head">
          <Link href={list} className="icon-button page__back" aria-label="All characters">
            <Icon name="back" />
          </Link>
        </header>
        {character !== undefined ? (
          <Sheet character={character} />
        ) : error ? (
          <Failure error={error} onRetry={again} />
        ) : (
          <Loading />
        )}
      </div>
    </main>
  );
}

function Sheet({ character }: { character: Character }) {
  const { user } = useWho();
  const [, go] = useLocation();
  const heading = useHeadingFocus();
  const talk = useAction();
  useTitle(character.name);
  const isMine = character.ownerId === user.id;
  const lead = (opened: () => Promise<Conversation>) => () =>
    void talk.run(async () => go(`/c/${(await opened()).id}`));
  const open = lead(() => openConversation(user.id, character.id));
  const begin = (greeting = 0) => lead(() => beginConversation(character.id, greeting));
  const toldOf = useTold();
  const told = (text: string) => toldOf(text, character);
  const isKnown = useStore(conversations).items.some(
    (item) => item.characterId === character.id && item.ownerId === user.id && !item.branchOf,
  );
  const others = character.alternateGreetings ?? [];
  const parts = [
    { title: 'Personality', text: character.personality },
    { title: 'Scenario', text: character.scenario },
  ].filter(({ text }) => text !== '');
  return (
    <article className="sheet">
      <header className="sheet__head">
        <Avatar id={character.id} name={character.name} url={character.avatarUrl} size="huge" />
        <div className="sheet__about">
          <h1 className="sheet__name" dir="auto" ref={heading} tabIndex={-1}>
            {character.name}
          </h1>
          <ul className="tags" aria-label="Tags">
            {isMine && (
              <li className="tag tag--mine">
                {character.visibility === 'private' && <Icon name="lock" />}
                {character.visibility === 'private' ? 'Yours, private' : 'Yours, public'}
              </li>
            )}
            {character.tags.map((tag) => (
              <li key={tag} className="tag">
                {tag}
              </li>
            ))}
          </ul>
          <div className="sheet__actions">
            <button type="button" className="button button--primary" disabled={talk.busy} onClick={open}>
              <Icon name="chats" /> {talk.busy ? 'Opening…' : `Talk with ${character.name}`}
            </button>
            {isKnown && (
              <button type="button" className="button" disabled={talk.busy} onClick={begin()}>
                <Icon name="plus" /> New chat
              </button>
            )}
            <ImportChat character={character} />
            <Heart id={character.id} name={character.name} />
            {isMine && <OwnerActions character={character} />}
            <ExportLinks character={character} />
            {user.role === 'admin' && <Listing character={character} />}
            {!isMine && (
              <SafetyActions
                what={{ kind: 'character', id: character.id }}
                label={`More about ${character.name}`}
                author={character.ownerId ?? undefined}
                authorName="its author"
              />
            )}
          </div>
        </div>
      </header>
      <FormError error={talk.error} />
      {character.unlisted === true && (
        <Notice tone="warning">
          {isMine
            ? `An administrator took this character out of lists and search. Reason: ${character.unlistedReason ?? ''}`
            : 'An administrator took this character out of lists. Your conversation with it goes on.'}
        </Notice>
      )}
      <Gallery character={character} isMine={isMine} />
      {character.description !== '' && (
        <section className="sheet__part" aria-label="Description">
          <Markdown text={told(character.description)} />
        </section>
      )}
      {character.greeting !== '' && (
        <section className="sheet__part">
          <h2>How it begins</h2>
          <div className="sheet__greeting">
            <Markdown text={told(character.greeting)} />
          </div>
        </section>
      )}
      {others.length > 0 && (
        <details className="sheet__part sheet__others">
          <summary>Other ways it may begin ({others.length})</summary>
          {others.map((text, n) => (
            <div className="sheet__greeting" key={n}>
              <Markdown text={told(text)} />
              <button type="button" className="button" disabled={talk.busy} onClick={begin(n + 1)}>
                {isKnown ? 'New chat like this' : 'Begin like this'}
              </button>
            </div>
          ))}
        </details>
      )}
      {character.creatorNotes && (
        <section className="sheet__part">
          <h2>{character.creator ? `Notes by ${character.creator}` : 'Notes by its author'}</h2>
          <Markdown text={character.creatorNotes} />
        </section>
      )}
      {parts.map(({ title, text }) => (
        <section className="sheet__part" key={title}>
          <h2>{title}</h2>
          <Markdown text={told(text)} />
        </section>
      ))}
    </article>
  );
}

/** The character as a card, for other programs and other people. */
function ExportLinks({ character }: { character: Character }) {
  const address = (format: string) =>
    `/api/characters/${encodeURIComponent(character.id)}/export?format=${format}`;
  return (
    <>
      <a className="button" href={address('png')} download aria-label="Save as a PNG card">
        <Icon name="down" /> PNG card
      </a>
      <a className="button" href={address('json')} download aria-label="Save as a JSON card">
        <Icon name="down" /> JSON card
      </a>
      <a
        className="button"
        href={address('charx')}
        download
        aria-label="Save as a CHARX archive, with all pictures"
      >
        <Icon name="down" /> CHARX
      </a>
    </>
  );
}

/** For operators. */
function Listing({ character }: { character: Character }) {
  const [asking, setAsking] = useState(false);
  const isOut = character.unlisted === true;
  return (
    <>
      <button type="button" className="button button--danger" onClick={() => setAsking(true)}>
        {isOut ? 'Put back into lists' : 'Unlist character'}
      </button>
      {asking && (
        <DeedDialog
          deed={isOut ? 'list' : 'unlist'}
          character={character.id}
          onDone={() => loadCharacter(character.id, true)}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}

function OwnerActions({ character }: { character: Character }) {
  const [, go] = useLocation();
  const [asking, setAsking] = useState(false);
  const removal = useAction();
  const remove = async () => {
    if (await removal.run(() => deleteCharacter(character.id))) go('/characters');
  };
  return (
    <>
      <Link href={`/characters/${character.id}/edit`} className="button">
        <Icon name="edit" /> Edit
      </Link>
      <button type="button" className="button" onClick={() => setAsking(true)}>
        <Icon name="trash" /> Delete
      </button>
      {asking && (
        <Confirm
          title={`Delete ${character.name}?`}
          action="Delete for good"
          busy={removal.busy}
          onConfirm={() => void remove()}
          onClose={() => setAsking(false)}
        >
          <p>The character and everybody’s conversations with it are gone after this. It cannot be undone.</p>
          <FormError error={removal.error} />
        </Confirm>
      )}
    </>
  );
}
