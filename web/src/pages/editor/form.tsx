/** The form of a character in six steps. What is typed, and the step that one is at, are kept as one goes. */
import { useEffect, useRef, useState, type JSX, type SyntheticEvent } from 'react';
import { asApiError, type ApiError } from '../../api/client';
import { useAction } from '../../lib/load';
import { FormError } from '../../ui/notice';
import { Icon } from '../../ui/icons';
import { Conflicts } from './conflicts';
import {
  bodyOf,
  changed,
  conflictsIn,
  isNews,
  resumed,
  yielded,
  type CharacterDraft,
  type CharacterForm,
  type KeptDraft,
} from './draft';
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
  /** What it is made of: the character as it is, or nothing. */
  start: CharacterForm;
  typed: KeptDraft;
  action: string;
  /** Whether it can be saved from every step: what it is of is whole already. */
  isWhole: boolean;
  /** `atOnce`: one goes to another step. */
  onKeep: (draft: CharacterDraft, atOnce: boolean) => void;
  /** What the character says by now, read anew; of a new one nothing. */
  readAnew: () => Promise<CharacterForm>;
  /** Saves it, and goes on from there. */
  onSave: (body: Record<string, unknown>) => Promise<void>;
}) {
  const [draft, setDraft] = useState(() => ({
    ...resumed(props.typed, props.start),
    step: stepAt(props.typed.step),
  }));
  /** What the character says, as far as this page was told. */
  const [now, setNow] = useState(props.start);
  /** A picture that was sent comes later than what was typed meanwhile, and changes itself alone. */
  const latest = useRef(draft);
  const [yields, setYields] = useState(0);
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

  const take = (whole: CharacterDraft, atOnce = false) => {
    latest.current = whole;
    setDraft(whole);
    props.onKeep(whole, atOnce);
  };
  const change = (next: Partial<CharacterDraft>, atOnce = false) =>
    take(changed(latest.current, next), atOnce);
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
        const fresh = await props.readAnew();
        setNow(fresh);
        // What would be lost by it is shown first, and saved over by who presses again.
        if (isNews(draft, now, fresh)) return;
        await props.onSave(bodyOf(draft, fresh));
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
  const conflicts = conflictsIn(draft, now);
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
            key={`${STEPS[step]?.id} ${yields}`}
            form={draft}
            error={error}
            onChange={(part: Partial<CharacterForm>) => change(part)}
          />
        )}
      </section>
      <FormError error={error} />
      <Conflicts
        fields={conflicts}
        now={now}
        onYield={(field) => {
          setYields(yields + 1);
          take(yielded(latest.current, field, now), true);
        }}
      />
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
            {busy ? 'Saving…' : conflicts.length > 0 ? 'Save mine anyway' : props.action}
          </button>
        )}
      </div>
    </form>
  );
}
