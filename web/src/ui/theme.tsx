/** Light, dark, or as the system says. `public/theme.js` applies the choice before the first paint. */
import { useSyncExternalStore } from 'react';
import { useStore } from '../lib/store';
import { applyTheme, theme } from '../lib/theme';
import { Icon } from './icons';

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
