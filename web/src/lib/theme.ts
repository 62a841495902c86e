/** Which theme was chosen. `public/theme.js` applies the choice before the first paint. */
import { recall, remember } from './storage';
import { createStore } from './store';

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
