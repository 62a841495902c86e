/** The form of a character in six steps. What is typed, and the step that one is at, are kept as one goes. */
import { useEffect, useRef, useState, type JSX, type SyntheticEvent } from 'react';
import { asApiError, type ApiError } from '../../api/client';
import { useAction } from '../../lib/load';
import { FormError } from '../../ui/notice';
import { Icon } from '../../ui/icons';
import { bodyOf, type CharacterDraft, type CharacterForm } from './draft';
import { Basics, Beginnings, Instructions, LoreBook, Nature, type PartProps } from './parts';
import { Review } from './review';
import { StepList } from './step-list';
import { isFilled, LAST, missing, stepAt, STEPS, wrongSteps } from './steps';

const PARTS: readonly ((props: PartProps) => JSX.Element)[] = [
  Basics,
  Nature,
  Beginnings,
  Instructions,
  LoreBook,
];

export function SteppedForm(props: {
  /** What it began as, before anybody typed. */
  start: CharacterDraft;
  typed: CharacterDraft;
  action: string;
  /** Whether it can be saved from every step: what it is of is whole already. */
  isWhole: boolean;
  /** `atOnce`: one goes to another step. */
  onKeep: (draft: CharacterDraft, atOnce: boolean) => void;
  /** Saves it, and goes on from there. */
  onSave: (body: Record<string, unknown>) => Promise<void>;
}) {
  const [draft, setDraft] = useState(() => ({ ...props.typed, step: stepAt(props.typed.step) }));
  /** A picture that was sent comes later than what was typed meanwhile, and changes itself alone. */
  const latest = useRef(draft);
  const { busy, error: refused, run } = useAction();
  /** Of what can be told without the server; looked at again with each change, once it was looked at. */
  const [looked, setLooked] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const moved = useRef(false);
  const { step } = draft;
  const lacks = missing(draft);
  const error: ApiError | undefined = looked && lacks !== undefined ? lacks : refused;
  const wrong = wrongSteps(error);

  // Whoever goes to another step reads on from its heading.
  useEffect(() => {
    if (!moved.current) return;
    moved.current = false;
    heading.current?.focus({ preventScroll: true });
    heading.current?.closest('.page')?.scrollTo({ top: 0 });
  }, [step]);

  const change = (next: Partial<CharacterDraft>, atOnce = false) => {
    const whole = { ...latest.current, ...next };
    latest.current = whole;
    setDraft(whole);
    props.onKeep(whole, atOnce);
  };
  const go = (to: number) => {
    if (to === step) return;
    moved.current = true;
    change({ step: to }, true);
  };
  const save = () => {
    setLooked(true);
    const [first] = wrongSteps(lacks);
    if (lacks !== undefined) {
      if (first !== undefined) go(first);
      return;
    }
    void run(async () => {
      try {
        await props.onSave(bodyOf(draft, props.start));
      } catch (reason) {
        // What the server refuses is shown where it can be changed.
        const [place] = wrongSteps(asApiError(reason));
        if (place !== undefined && place !== LAST) {
          moved.current = place !== step;
          latest.current = { ...latest.current, step: place };
          setDraft(latest.current);
        }
        throw reason;
      }
    });
  };

  const isLast = step === LAST;
  const next = () => {
    const [first] = wrongSteps(lacks);
    if (first === step) setLooked(true);
    else go(step + 1);
  };
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (isLast) save();
    else next();
  };
  const Part = PARTS[step];
  return (
    <form className="form editor" onSubmit={submit} noValidate>
      <StepList step={step} filled={STEPS.map((_, n) => isFilled(draft, n))} wrong={wrong} onStep={go} />
      <section className="group editor__part" aria-labelledby="step-heading">
        <h2 id="step-heading" ref={heading} tabIndex={-1}>
          {STEPS[step]?.title}
        </h2>
        {isLast || Part === undefined ? (
          <Review form={draft} wrong={wrong} onStep={go} />
        ) : (
          <Part
            // Its rows are counted from what it is given first.
            key={STEPS[step]?.id}
            form={draft}
            error={error}
            onChange={(part: Partial<CharacterForm>) => change(part)}
          />
        )}
      </section>
      <FormError error={error} />
      <div className="form__actions editor__actions">
        {step > 0 && (
          <button type="button" className="button" onClick={() => go(step - 1)}>
            <Icon name="back" /> Back
          </button>
        )}
        {!isLast && (
          <button type="submit" className={props.isWhole ? 'button' : 'button button--primary'}>
            Next <Icon name="forward" />
          </button>
        )}
        {(isLast || props.isWhole) && (
          <button type="button" className="button button--primary" disabled={busy} onClick={save}>
            {busy ? 'Saving…' : props.action}
          </button>
        )}
      </div>
    </form>
  );
}
