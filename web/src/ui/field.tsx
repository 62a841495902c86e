/** A labelled form field with its hint and its error, tied together for a screen reader. */
import { useId, type InputHTMLAttributes, type ReactNode, type TextareaHTMLAttributes } from 'react';
import type { ApiError } from '../api/client';

interface Labelled {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
}

function Field({
  label,
  hint,
  error,
  children,
}: Labelled & {
  children: (ids: {
    id: string;
    'aria-describedby': string | undefined;
    'aria-invalid': boolean;
  }) => ReactNode;
}) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ');
  return (
    <div className={error ? 'field field--wrong' : 'field'}>
      <label className="field__label" htmlFor={id}>
        {label}
      </label>
      {children({ id, 'aria-describedby': described || undefined, 'aria-invalid': Boolean(error) })}
      {hint && (
        <p className="field__hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p className="field__error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  );
}

export function TextField({
  label,
  hint,
  error,
  ...input
}: Labelled & InputHTMLAttributes<HTMLInputElement>) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(ids) => <input className="input" dir="auto" {...input} {...ids} />}
    </Field>
  );
}

export function TextArea({
  label,
  hint,
  error,
  ...area
}: Labelled & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(ids) => <textarea className="input input--area" dir="auto" {...area} {...ids} />}
    </Field>
  );
}

const FIELD_NAMES: Readonly<Record<string, string>> = {
  displayName: 'The display name',
  avatarUrl: 'The picture’s address',
  exampleDialogue: 'The example dialogue',
  systemPrompt: 'The system prompt',
  alternateGreetings: 'One of the other greetings',
  postHistoryInstructions: 'The last instructions',
  creatorNotes: 'The notes',
  depthPrompt: 'The note among the messages',
  lorebook: 'The lore book',
};

/** What the server says of one field, as a sentence. */
export function fieldError(error: ApiError | undefined, field: string): string | undefined {
  const found = error?.errors.find((one) => one.field === field || one.field.startsWith(`${field}.`));
  if (found === undefined) return undefined;
  const name = FIELD_NAMES[field] ?? `The ${field}`;
  return /^[a-z]/.test(found.message) ? `${name} ${found.message.replace(/\.$/, '')}.` : found.message;
}
