/** All that a form says, before it is saved, with a way to each part. */
import { shownPicture } from '../../app/picture';
import { Avatar } from '../../ui/avatar';
import { tagsOf, type CharacterForm } from './draft';
import { LAST, STEPS } from './steps';

const VISIBILITY = { private: 'Only you', public: 'Everyone on this server' } as const;

/** What stands under which name at a step; empty where nothing was said. */
function told(form: CharacterForm, step: number): [string, string][] {
  const entries = form.lorebook.entries?.length ?? 0;
  switch (STEPS[step]?.id) {
    case 'basics':
      return [
        ['Name', form.name.trim() || 'Not yet'],
        ['Nickname', form.nickname],
        ['Tags', tagsOf(form.tags).join(', ')],
        ['Who may meet it', VISIBILITY[form.visibility]],
      ];
    case 'personality':
      return [
        ['Description', form.description],
        ['Personality', form.personality],
        ['Scenario', form.scenario],
      ];
    case 'greetings':
      return [
        ['Greeting', form.greeting],
        ['Other greetings', form.alternateGreetings.length > 0 ? `${form.alternateGreetings.length}` : ''],
        ['Example dialogue', form.exampleDialogue],
      ];
    case 'instructions':
      return [
        ['System prompt', form.systemPrompt],
        ['Note among the messages', form.depthPrompt.prompt],
        ['Last instructions', form.postHistoryInstructions],
        ['Notes', form.creatorNotes],
      ];
    case 'lore':
      return [['Entries', entries > 0 ? `${entries}` : '']];
    default:
      return [];
  }
}

export function Review(props: {
  form: CharacterForm;
  wrong: readonly number[];
  onStep: (step: number) => void;
}) {
  const { form } = props;
  return (
    <div className="review">
      {STEPS.slice(0, LAST).map(({ id, title }, step) => {
        const lines = told(form, step).filter(([, text]) => text.trim() !== '');
        return (
          <section className="review__part" key={id} aria-label={title}>
            <header className="review__head">
              <h3>{title}</h3>
              <button
                type="button"
                className="button"
                aria-label={`Change ${title.toLowerCase()}`}
                onClick={() => props.onStep(step)}
              >
                Change
              </button>
            </header>
            {props.wrong.includes(step) && <p className="field__error">Something here needs a look.</p>}
            {step === 0 && (
              <Avatar
                id={form.name}
                name={form.name || '?'}
                url={shownPicture(form.avatarUrl)}
                size="large"
              />
            )}
            {lines.length === 0 ? (
              <p className="review__nothing">Nothing yet.</p>
            ) : (
              <dl className="review__lines">
                {lines.map(([name, text]) => (
                  <div key={name}>
                    <dt>{name}</dt>
                    <dd>{text}</dd>
                  </div>
                ))}
              </dl>
            )}
          </section>
        );
      })}
    </div>
  );
}
