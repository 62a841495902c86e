/** Light, dark, or as the system says. `public/theme.js` applies the choice before the first paint. */
import { useSyncExternalStore } from 'react';
import { createStore, useStore } from '../lib/store';
import { recall, remember } from '../lib/storage';
import { Icon } from './icons';

export type Theme = 'system' | 'light' | 'dark';

const kept = recall('theme');

/** What was chosen here, or on another device. */
export const theme = createStore<Theme>(kept === 'light' || kept === 'dark' ? kept : 'system');

export function isTheme(value: unknown): value is Theme {
  return value === 'system' || value === 'light' || value === 'dark';
}

export function applyTheme(next: Theme): void {
  theme.set(next);
  remember('theme', next === 'system' ? undefined : next);
  if (next === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = next;
}

const CHOICES = [
  { value: 'system', label: 'System', icon: 'monitor' },
  { value: 'light', label: 'Light', icon: 'sun' },
  { value: 'dark', label: 'Dark', icon: 'moon' },
] as const;

export function ThemeChoice() {
  const now = useStore(theme);
  return (
    <fieldset className="segments">
      <legend className="sr-only">Theme</legend>
      {CHOICES.map(({ value, label, icon }) => (
        <label key={value} className="segments__one">
          <input
            type="radio"
            name="theme"
            value={value}
            checked={now === value}
            onChange={() => applyTheme(value)}
          />
          <span>
            <Icon name={icon} /> {label}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

const system = matchMedia('(prefers-color-scheme: dark)');

function followSystem(listener: () => void): () => void {
  system.addEventListener('change', listener);
  return () => system.removeEventListener('change', listener);
}

/** One press from dark to light and back, whatever the system says. */
export function ThemeToggle() {
  const now = useStore(theme);
  const systemIsDark = useSyncExternalStore(followSystem, () => system.matches);
  const isDark = now === 'dark' || (now === 'system' && systemIsDark);
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={isDark ? 'Use the light theme' : 'Use the dark theme'}
      onClick={() => applyTheme(isDark ? 'light' : 'dark')}
    >
      <Icon name={isDark ? 'sun' : 'moon'} />
    </button>
  );
}
