/** What a card says, before it is saved, and what is wrong with it. */
import type { ApiError } from '../../api/client';
import type { CardPreview } from '../../api/types';
import { useTold } from '../../app/told';
import { Icon } from '../../ui/icons';
import { Markdown } from '../../ui/markdown';
import { Notice } from '../../ui/notice';

/** The form that fields could be marked in is not here: each says its own. */
export function Refused({ error }: { error: ApiError }) {
  return (
    <Notice tone="error">
      {error.errors.length > 1
        ? error.errors.map(({ field, message }) => `${field}: ${message}`).join(' · ')
        : error.message}
    </Notice>
  );
}

const count = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`;

/** In a line: its version, its author, and how much there is. */
export function factsOf({ character, pictures, version }: CardPreview): string {
  const greetings = character.alternateGreetings?.length ?? 0;
  const entries = character.lorebook?.entries?.length ?? 0;
  return [
    version === 'Pygmalion' ? 'Pygmalion card' : `${version} card`,
    character.creator && `by ${character.creator}`,
    greetings > 0 && count(greetings, 'other greeting', 'other greetings'),
    entries > 0 && count(entries, 'lore entry', 'lore entries'),
    pictures > 0 && count(pictures, 'more picture', 'more pictures'),
  ]
    .filter(Boolean)
    .join(' · ');
}

export function Warnings({ warnings }: { warnings: readonly string[] }) {
  return (
    <ul className="import__warnings" aria-label="Warnings">
      {warnings.map((warning) => (
        <li key={warning}>
          <Icon name="warning" /> {warning}
        </li>
      ))}
    </ul>
  );
}

/** What would be saved. */
export function Look({ preview }: { preview: CardPreview }) {
  const { character, picture, warnings } = preview;
  const told = useTold();
  const facts = factsOf(preview);
  const texts = [
    ['Description', character.description],
    ['Personality', character.personality],
    ['Scenario', character.scenario],
    ['Greeting', character.greeting],
    ['Notes', character.creatorNotes],
  ] as const;
  return (
    <div className="import">
      <div className="import__head">
        {picture && <img className="import__picture" src={picture} alt="" />}
        <div className="import__about">
          <p>{facts}</p>
          <ul className="tags" aria-label="Tags">
            {character.tags?.map((tag) => (
              <li key={tag} className="tag">
                {tag}
              </li>
            ))}
          </ul>
        </div>
      </div>
      {warnings.length > 0 && <Warnings warnings={warnings} />}
      <dl className="import__texts">
        {texts.map(
          ([title, text]) =>
            text && (
              <div key={title}>
                <dt>{title}</dt>
                <dd>
                  <Markdown text={told(text, character)} />
                </dd>
              </div>
            ),
        )}
      </dl>
    </div>
  );
}
