/** How far a form has come: its steps, each a way to it, with those where something is wrong. */
import { Icon } from '../../ui/icons';
import { STEPS } from './steps';

export function StepList(props: {
  step: number;
  /** Where something was said. */
  filled: readonly boolean[];
  wrong: readonly number[];
  onStep: (step: number) => void;
}) {
  return (
    <nav className="steps" aria-label="Steps">
      <p className="steps__where" id="steps-where">
        Step {props.step + 1} of {STEPS.length}
        <span className="steps__name">: {STEPS[props.step]?.title}</span>
      </p>
      <progress
        className="meter steps__meter"
        value={props.step + 1}
        max={STEPS.length}
        aria-labelledby="steps-where"
      />
      <ol className="steps__list">
        {STEPS.map(({ id, title }, n) => {
          const isWrong = props.wrong.includes(n);
          const classes = ['steps__one'];
          if (isWrong) classes.push('steps__one--wrong');
          return (
            <li key={id}>
              <button
                type="button"
                className={classes.join(' ')}
                aria-current={n === props.step ? 'step' : undefined}
                onClick={() => props.onStep(n)}
              >
                <span className="sr-only">{n + 1}. </span>
                <span className="steps__number" aria-hidden="true">
                  {isWrong ? '!' : props.filled[n] && n !== props.step ? <Icon name="check" /> : n + 1}
                </span>
                <span className="steps__title">{title}</span>
                {isWrong && <span className="sr-only">(needs a look)</span>}
              </button>
            </li>
          );
        })}
      </ol>
    </nav>
  );
}
