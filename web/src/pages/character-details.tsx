/** The other greetings of a character's form. */
import { useRows } from '../lib/rows';
import { TextArea } from '../ui/field';
import { Icon } from '../ui/icons';

export function Greetings(props: {
  texts: string[];
  error: string | undefined;
  onChange: (texts: string[]) => void;
}) {
  const { texts, onChange } = props;
  const { keys, added, removed } = useRows(texts.length);
  return (
    <div className="several" role="group" aria-label="Other greetings">
      {texts.map((text, n) => (
        <div className="several__one" key={keys[n]}>
          <TextArea
            label={`Other greeting ${n + 1}`}
            value={text}
            onChange={(event) => onChange(texts.map((old, m) => (m === n ? event.target.value : old)))}
          />
          <button
            type="button"
            className="icon-button"
            aria-label={`Remove other greeting ${n + 1}`}
            onClick={() => {
              removed(n);
              onChange(texts.filter((_, m) => m !== n));
            }}
          >
            <Icon name="trash" />
          </button>
        </div>
      ))}
      {props.error && <p className="field__error">{props.error}</p>}
      <button
        type="button"
        className="button several__add"
        onClick={() => {
          added();
          onChange([...texts, '']);
        }}
      >
        <Icon name="plus" /> Add another greeting
      </button>
    </div>
  );
}
