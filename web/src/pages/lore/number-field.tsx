/** A whole number, or none. */
import { useState } from 'react';
import { TextField } from '../../ui/field';

export function NumberField(props: {
  label: string;
  hint?: string;
  value: number | undefined;
  /** What counts while nothing is given. */
  usual?: string;
  min?: number;
  max?: number;
  onChange: (value: number | undefined) => void;
}) {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = props;
  // As it is typed: a minus is no number yet.
  const [text, setText] = useState(props.value === undefined ? '' : String(props.value));
  return (
    <TextField
      label={props.label}
      hint={props.hint}
      type="number"
      inputMode="numeric"
      step={1}
      min={props.min}
      max={props.max}
      placeholder={props.usual}
      value={text}
      onChange={(event) => {
        setText(event.target.value);
        const number = Math.trunc(Number(event.target.value));
        const isOne = event.target.value.trim() !== '' && Number.isFinite(number);
        props.onChange(isOne ? Math.min(Math.max(number, min), max) : undefined);
      }}
    />
  );
}

export function Check(props: { label: string; checked: boolean; onChange: (checked: boolean) => void }) {
  return (
    <label className="check">
      <input
        type="checkbox"
        checked={props.checked}
        onChange={(event) => props.onChange(event.target.checked)}
      />
      {props.label}
    </label>
  );
}

export function Choice<Value extends string>(props: {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange: (value: Value) => void;
}) {
  return (
    <label className="field">
      <span className="field__label">{props.label}</span>
      <select
        className="input"
        value={props.value}
        onChange={(event) => {
          const chosen = props.options.find(([value]) => value === event.target.value);
          if (chosen !== undefined) props.onChange(chosen[0]);
        }}
      >
        {props.options.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
