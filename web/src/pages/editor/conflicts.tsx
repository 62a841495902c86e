/** What was changed elsewhere since a form was begun, and in the form as well: told before one takes the place of the other. */
import { Notice } from '../../ui/notice';
import type { CharacterForm } from './draft';

const NAMES: Record<keyof CharacterForm, string> = {
  name: 'Name',
  description: 'Description',
  personality: 'Personality',
  scenario: 'Scenario',
  greeting: 'Greeting',
  exampleDialogue: 'Example dialogue',
  systemPrompt: 'System prompt',
  visibility: 'Who may meet it',
  tags: 'Tags',
  avatarUrl: 'Picture',
  nickname: 'Nickname',
  postHistoryInstructions: 'Last instructions',
  depthPrompt: 'Note among the messages',
  creatorNotes: 'Notes',
  alternateGreetings: 'Other greetings',
  lorebook: 'Lore book',
};

/** In the words of the form; of a lore book how much there is. */
function told(value: CharacterForm[keyof CharacterForm]): string {
  if (typeof value === 'string') return value || 'Nothing';
  if (Array.isArray(value)) return value.join('\n\n') || 'None';
  if ('prompt' in value) return value.prompt || 'None';
  const count = value.entries?.length ?? 0;
  return count === 1 ? 'One entry' : `${count} entries`;
}

export function Conflicts(props: {
  fields: readonly (keyof CharacterForm)[];
  now: CharacterForm;
  /** What was changed elsewhere is to stand. */
  onYield: (field: keyof CharacterForm) => void;
}) {
  if (props.fields.length === 0) return null;
  return (
    <Notice tone="warning">
      This was changed elsewhere since you began, and by you here. Saving puts yours in its place.
      <ul className="conflicts">
        {props.fields.map((field) => (
          <li key={field}>
            <details>
              <summary>{NAMES[field]}: what it says now</summary>
              <p className="conflicts__text">{told(props.now[field])}</p>
            </details>
            <button type="button" className="button" onClick={() => props.onYield(field)}>
              Take that<span className="sr-only"> for {NAMES[field]}</span>
            </button>
          </li>
        ))}
      </ul>
    </Notice>
  );
}
