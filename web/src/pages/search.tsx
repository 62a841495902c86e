/** Search as one types: characters, and what was said. */
import { Fragment, useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { Link, useSearchParams } from 'wouter';
import { http } from '../api/client';
import type { Answer, FoundPart } from '../api/types';
import { takeCharacters } from '../app/library';
import { useTold } from '../app/told';
import { plainText } from '../chat/words';
import { useLoad } from '../lib/load';
import { shortTime } from '../lib/time';
import { Avatar } from '../ui/avatar';
import { Empty, Failure } from '../ui/notice';
import { Icon } from '../ui/icons';
import { Page } from '../ui/page';

/** A search waits for a pause in typing: each is a call, and calls are counted. */
const TYPING_PAUSE = 250;

export function SearchPage() {
  const [search, setSearch] = useSearchParams();
  const q = search.get('q') ?? '';
  const [words, setWords] = useState(q);
  const [found, setFound] = useState<{ q: string; answer: Answer<'Search'> }>();
  const box = useRef<HTMLInputElement>(null);
  const results = useRef<HTMLDivElement>(null);
  const { pending, error, again } = useLoad(q === '' ? undefined : q, async (signal) => {
    const answer = await http.get<Answer<'Search'>>('/api/search', { q }, { signal });
    takeCharacters(answer.characters);
    setFound({ q, answer });
  });

  useEffect(() => box.current?.focus(), []);

  useEffect(() => {
    const next = words.trimStart();
    if (next === q) return;
    const timer = setTimeout(
      () => setSearch(next === '' ? {} : { q: next }, { replace: true }),
      TYPING_PAUSE,
    );
    return () => clearTimeout(timer);
  }, [words, q, setSearch]);

  /** The arrow keys go from the box through what was found, and back. */
  const walk = (event: KeyboardEvent) => {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    const links = [...(results.current?.querySelectorAll<HTMLAnchorElement>('a') ?? [])];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    const next = event.key === 'ArrowDown' ? at + 1 : at - 1;
    event.preventDefault();
    if (next < 0) box.current?.focus();
    else links[Math.min(next, links.length - 1)]?.focus();
  };

  const answer = q === '' ? undefined : found?.answer;
  const count = answer === undefined ? 0 : answer.characters.length + answer.messages.length;
  return (
    <Page title="Search" width="narrow">
      {/* The keys of what is inside. */}
      {/* eslint-disable-next-line jsx-a11y/no-static-element-interactions */}
      <div className="seeker" onKeyDown={walk}>
        <search className="finder">
          <div className="finder__search">
            <Icon name="search" />
            <input
              ref={box}
              className="input"
              dir="auto"
              type="search"
              aria-label="Search characters and messages"
              placeholder="Characters, and what was said"
              maxLength={200}
              value={words}
              onChange={(event) => setWords(event.target.value)}
            />
          </div>
        </search>
        <p className="sr-only" role="status">
          {q === '' ? '' : pending ? 'Searching' : `${count} found`}
        </p>
        {error ? (
          <Failure error={error} onRetry={again} />
        ) : answer === undefined ? (
          !pending && (
            <Empty icon="search" title="Find it again">
              <p className="empty__text">
                Some words of what was said, or of a character’s name or story. The last word may be half
                typed.
              </p>
            </Empty>
          )
        ) : count === 0 && !pending ? (
          <Empty icon="search" title="Nothing fits that">
            <p className="empty__text">All words must be there. Try fewer, or others.</p>
          </Empty>
        ) : (
          <div className="seeker__found" ref={results} aria-busy={pending}>
            <Found answer={answer} />
          </div>
        )}
      </div>
    </Page>
  );
}

function Found({ answer }: { answer: Answer<'Search'> }) {
  const told = useTold();
  return (
    <>
      {answer.characters.length > 0 && (
        <section className="group" aria-labelledby="found-characters">
          <h2 id="found-characters">Characters</h2>
          <ul className="rows">
            {answer.characters.map(({ snippet, ...character }) => (
              <li className="row row--link" key={character.id}>
                <Avatar id={character.id} name={character.name} url={character.avatarUrl} size="small" />
                <div className="row__words">
                  <Link href={`/characters/${character.id}`} dir="auto">
                    {character.name}
                  </Link>
                  <small className="row__line" dir="auto">
                    {snippet.some((part) => part.hit) ? (
                      <Snippet parts={snippet} told={(text) => told(text, character)} />
                    ) : (
                      plainText(told(character.description, character))
                    )}
                  </small>
                </div>
              </li>
            ))}
          </ul>
        </section>
      )}
      {answer.messages.length > 0 && (
        <section className="group" aria-labelledby="found-messages">
          <h2 id="found-messages">Messages</h2>
          <ul className="rows">
            {answer.messages.map(({ message, conversation, snippet }) => (
              <li className="row row--link" key={message.id}>
                <Avatar
                  id={conversation.character.id}
                  name={conversation.character.name}
                  url={conversation.character.avatarUrl}
                  size="small"
                />
                <div className="row__words">
                  <Link href={`/c/${conversation.id}?at=${message.seq}`}>
                    {message.role === 'user'
                      ? `To ${conversation.character.name}`
                      : conversation.character.name}
                    {/* There may be several with one character. */}
                    {conversation.title !== conversation.character.name && (
                      <span className="row__title">
                        {' · '}
                        <bdi>{conversation.title}</bdi>
                      </span>
                    )}
                  </Link>
                  <small dir="auto">
                    <Snippet parts={snippet} />
                  </small>
                </div>
                <time className="row__time" dateTime={message.createdAt}>
                  {shortTime(message.createdAt)}
                </time>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

/** Signs that no text uses, around what was found while its marks are taken away. */
const HIT = ['\ue000', '\ue001'] as const;

function Snippet(props: { parts: readonly FoundPart[]; told?: (text: string) => string }) {
  const { parts, told = (text: string) => text } = props;
  const marked = parts
    .map(({ text, hit }) => [text.replace(/[\ue000\ue001]/g, ''), hit] as const)
    .map(([text, hit]) => (hit ? HIT[0] + text + HIT[1] : text));
  // An excerpt may begin or end between two marks.
  const line = plainText(told(marked.join(''))).replace(/\*{2,}|~~|`+/g, '');
  // Pieces have no names of their own, and their order does not change.
  return line.split(HIT[0]).map((piece, at) => {
    const [found = '', rest] = piece.split(HIT[1]);
    return rest === undefined ? (
      found
    ) : (
      <Fragment key={at}>
        <mark>{found}</mark>
        {rest}
      </Fragment>
    );
  });
}
