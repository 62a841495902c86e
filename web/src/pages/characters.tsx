/** Characters to meet: searched, narrowed to a tag, sorted, read page by page. */
import { useEffect, useEffectEvent, useLayoutEffect, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import { useAgainOnceBack } from '../app/again';
import { characters, listCharacters, loadTags, popularTags } from '../app/library';
import { useTold } from '../app/told';
import { forgetList, leaveList, leftList, type LeftList } from '../app/way-back';
import { useWho } from '../app/who';
import type { Character, List, TagCount } from '../api/types';
import { plainText } from '../chat/words';
import { useAction, useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { Avatar } from '../ui/avatar';
import { Heart } from '../ui/heart';
import { Icon } from '../ui/icons';
import { Empty, Failure } from '../ui/notice';
import { Page } from '../ui/page';
import { ImportCard } from './import/import-card';

const SORTS = [
  { value: 'new', label: 'Newest' },
  { value: 'popular', label: 'Most talked with' },
  { value: 'recent', label: 'Talked with last' },
  { value: 'name', label: 'By name' },
] as const;

/** A search waits until one stops typing: each is a call, and calls are counted. */
const TYPING_PAUSE = 350;

type Found = List<'Character'> & { key: string };

export function CharactersPage() {
  const [search, setSearch] = useSearchParams();
  const q = search.get('q') ?? '';
  const tag = search.get('tag') ?? '';
  const sort = search.get('sort') ?? '';
  const favourite = search.get('favourite') === 'true' ? 'true' : '';
  const tags = useStore(popularTags);
  useLoad('tags', loadTags);
  const [words, setWords] = useState(q);
  const key = JSON.stringify([q, tag, sort, favourite]);
  /** As it was left for one of them: it is not asked for again. */
  const [left, setLeft] = useState(() => (leftList()?.key === key ? leftList() : undefined));
  const [found, setFound] = useState<Found | undefined>(
    left && { key, items: [...left.items], nextCursor: left.nextCursor },
  );
  const query = { q, tag, sort, favourite } as const;
  const { pending, error, again } = useLoad(left?.key === key ? undefined : key, async (signal) => {
    const page = await listCharacters(query, signal);
    setLeft(undefined);
    setFound({ ...page, key });
  });
  const more = useAction();
  useAgainOnceBack(error, again);
  useWayBack(left, found, search);

  const change = (changed: Partial<Record<'q' | 'tag' | 'sort' | 'favourite', string>>) =>
    setSearch(
      (now) => {
        const next = new URLSearchParams(now);
        for (const [name, value] of Object.entries(changed)) {
          if (value === '') next.delete(name);
          else next.set(name, value);
        }
        return next;
      },
      { replace: true },
    );

  useEffect(() => {
    if (words.trim() === q) return;
    const timer = setTimeout(() => {
      setSearch(
        (now) => {
          const next = new URLSearchParams(now);
          if (words.trim() === '') next.delete('q');
          else next.set('q', words.trim());
          return next;
        },
        { replace: true },
      );
    }, TYPING_PAUSE);
    return () => clearTimeout(timer);
  }, [words, q, setSearch]);

  const showMore = () =>
    more.run(async () => {
      const page = await listCharacters(
        { ...query, cursor: found?.nextCursor ?? '' },
        new AbortController().signal,
      );
      setFound((now) => (now?.key === key ? { ...page, key, items: [...now.items, ...page.items] } : now));
    });

  // What was changed of one since stands in its place.
  const known = useStore(characters);
  const items = (found?.items ?? []).map((item) => known[item.id] ?? item);
  const isFiltered = q !== '' || tag !== '' || favourite !== '' || sort === 'recent';
  return (
    <Page
      title="Characters"
      actions={
        <>
          <ImportCard onImported={left === undefined ? again : () => setLeft(undefined)} />
          <Link href="/characters/new" className="button">
            <Icon name="plus" /> New character
          </Link>
        </>
      }
    >
      <search className="finder">
        <div className="finder__search">
          <Icon name="search" />
          <input
            className="input"
            dir="auto"
            type="search"
            aria-label="Search characters"
            placeholder="Search by name, story or tag"
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
        </div>
        <select
          className="input"
          aria-label="Sort by"
          value={sort === '' ? 'new' : sort}
          onChange={(event) => change({ sort: event.target.value === 'new' ? '' : event.target.value })}
        >
          {SORTS.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
        <div className="finder__tags" role="group" aria-label="Narrow down">
          <button
            type="button"
            className="chip"
            aria-pressed={favourite !== ''}
            onClick={() => change({ favourite: favourite === '' ? 'true' : '' })}
          >
            Favourites
          </button>
          <Tags tags={tags} chosen={tag} onChoose={(next) => change({ tag: next })} />
        </div>
      </search>
      <p className="sr-only" role="status">
        {pending ? 'Searching' : `${items.length} characters shown`}
      </p>
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : found === undefined ? (
        <ul className="cards" aria-hidden="true">
          {[0, 1, 2, 3, 4, 5].map((one) => (
            <li key={one} className="skeleton card--loading" />
          ))}
        </ul>
      ) : items.length === 0 ? (
        <Empty
          icon={isFiltered ? 'search' : 'people'}
          title={isFiltered ? 'Nobody fits that' : 'No characters yet'}
        >
          {isFiltered ? (
            <button
              type="button"
              className="button"
              onClick={() => {
                setWords('');
                change({ q: '', tag: '', favourite: '', sort: '' });
              }}
            >
              Show everyone
            </button>
          ) : (
            <p className="empty__text">Write the first one: a name is enough to begin with.</p>
          )}
        </Empty>
      ) : (
        <ul className="cards" aria-busy={pending}>
          {items.map((character) => (
            <li key={character.id}>
              <Card character={character} />
            </li>
          ))}
        </ul>
      )}
      {found?.nextCursor && !error && (
        <button type="button" className="button more" disabled={more.busy} onClick={() => void showMore()}>
          Show more
        </button>
      )}
      {more.error && <Failure error={more.error} />}
    </Page>
  );
}

/** Who goes to one of them and comes back is where they were. */
function useWayBack(left: LeftList | undefined, found: Found | undefined, search: URLSearchParams): void {
  const page = () => document.getElementById('content');
  const restore = useEffectEvent(() => {
    if (left === undefined) return;
    page()?.scrollTo({ top: left.scroll });
    // The heading has it where one did not go by a link of the list.
    const link = left.href && page()?.querySelector<HTMLElement>(`.cards a[href="${CSS.escape(left.href)}"]`);
    if (link) link.focus({ preventScroll: true });
  });
  const leave = useEffectEvent(() => {
    if (!/^\/characters\/[^/]/.test(location.pathname) || found === undefined) return;
    const { key, items, nextCursor } = found;
    const text = search.toString();
    leaveList({
      key,
      items,
      nextCursor: nextCursor ?? null,
      search: text === '' ? '' : `?${text}`,
      scroll: page()?.scrollTop ?? 0,
      href: document.activeElement?.getAttribute('href') ?? undefined,
    });
  });
  useEffect(() => {
    restore();
    forgetList();
  }, []);
  // While the page is still there.
  useLayoutEffect(() => () => leave(), []);
}

/** The most used tags, and the one chosen. */
function Tags(props: { tags: readonly TagCount[]; chosen: string; onChoose: (tag: string) => void }) {
  const { tags, chosen } = props;
  const isListed = chosen === '' || tags.some(({ tag }) => tag === chosen);
  const shown: readonly Partial<TagCount>[] = isListed ? tags : [{ tag: chosen }, ...tags];
  return shown.map(({ tag = '', count }) => (
    <button
      key={tag}
      type="button"
      className="chip"
      aria-pressed={tag === chosen}
      onClick={() => props.onChoose(tag === chosen ? '' : tag)}
    >
      {tag} {count !== undefined && <span className="chip__count">{count}</span>}
    </button>
  ));
}

function Card({ character }: { character: Character }) {
  const { user } = useWho();
  const told = useTold();
  const isMine = character.ownerId === user.id;
  return (
    <article className="card">
      <Avatar id={character.id} name={character.name} url={character.avatarUrl} size="large" />
      <div>
        <h2 className="card__name" dir="auto">
          <Link href={`/characters/${character.id}`}>{character.name}</Link>
        </h2>
        {isMine && (
          <p className="tags card__own">
            <span className="tag tag--mine">
              {character.visibility === 'private' && <Icon name="lock" />}
              {character.visibility === 'private' ? 'Yours, private' : 'Yours'}
            </span>
          </p>
        )}
      </div>
      <p className="card__text" dir="auto">
        {plainText(told(character.description, character)) || 'No description yet.'}
      </p>
      {character.tags.length > 0 && (
        <ul className="tags" aria-label="Tags">
          {character.tags.slice(0, 4).map((tag) => (
            <li key={tag} className="tag">
              {tag}
            </li>
          ))}
        </ul>
      )}
      <Heart id={character.id} name={character.name} />
    </article>
  );
}
