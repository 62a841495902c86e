/** What goes on, in words: for the line above the composer, for screen readers, for lists. */
import type { Usage } from '../api/types';
import { htmlAsMarkdown } from '../lib/html';
import { lengthOfTime, upcoming } from '../lib/time';
import type { ConnectionState } from '../live/connection';
import { answeredSender, nextSender, typingWords } from '../rooms/words';
import { isAnswering, type ChatState } from './state';

const count = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;

/** The line above the composer. Empty when nothing goes on. `nameOf` calls people by their names where several are in. */
export function statusWords(
  state: ChatState,
  connection: ConnectionState,
  name: string,
  nameOf?: (userId: string) => string,
): string {
  if (connection === 'offline') return 'Offline';
  if (connection === 'reconnecting') return 'Reconnecting…';
  if (connection === 'connecting') return 'Connecting…';
  const parts: string[] = [];
  const asked = nameOf && (answeredSender(state) ?? nextSender(state));
  const whom = asked === undefined ? undefined : asked === state.userId ? 'you' : nameOf?.(asked);
  if (isAnswering(state))
    parts.push(whom === undefined ? `${name} is typing` : `${name} is answering ${whom}`);
  else if (state.phase === 'queued') parts.push(placeWords(state.position, name, whom));
  if (state.pending > 0 && (isAnswering(state) || state.phase !== 'queued' || state.pending > 1)) {
    parts.push(`${state.pending} waiting`);
  }
  const others = state.typists.filter((id) => id !== state.userId);
  if (nameOf && others.length > 0) parts.push(typingWords(others.map(nameOf)));
  else if (parts.length === 0 && state.typists.length > 0) {
    parts.push(
      others.length === 0
        ? 'You are typing on another device'
        : `${count(others.length, 'person', 'people')} typing`,
    );
  }
  return parts.join(' · ');
}

/** How many replies the character gives before this one. */
export function placeWords(position: number | undefined, name: string, whom = 'you'): string {
  if (position === undefined || position === 0) return `${name} answers ${whom} next`;
  return `${count(position, 'reply', 'replies')} before ${whom === 'you' ? 'yours' : `that to ${whom}`}`;
}

/** `27 of 30 left` and `until 14:05`, when all are back; nothing without a limit. */
export function usageWords(
  usage: Usage | undefined,
  now = new Date(),
  kind: 'text' | 'audio' | 'image' = 'text',
): { left: string; until: string } | undefined {
  const { limit, remaining } = usage?.[kind] ?? {};
  if (usage === undefined || limit == null || remaining == null) return undefined;
  return {
    left: `${remaining} of ${limit} left`,
    until: usage.resetsAt ? `until ${upcoming(usage.resetsAt, now)}` : '',
  };
}

/** Why nothing more can be sent today, or undefined when something can. */
export function limitWords(
  usage: Usage | undefined,
  name: string,
  now: number,
  kind: 'text' | 'audio' | 'image' = 'text',
): string | undefined {
  const { limit, remaining } = usage?.[kind] ?? {};
  if (usage === undefined || limit == null || remaining == null || remaining > 0) return undefined;
  const what = { text: 'messages', audio: 'voice messages', image: 'pictures' }[kind];
  const spent = `You have sent ${name} all ${limit} ${what} of today.`;
  if (!usage.resetsAt) return spent;
  const left = new Date(usage.resetsAt).getTime() - now;
  if (left <= 0) return undefined;
  return `${spent} You can write again in ${lengthOfTime(left)}, ${at(usage.resetsAt, new Date(now))}.`;
}

const at = (iso: string, now: Date): string => upcoming(iso, now).replace(/^(?=\d)/, 'at ');

/** Text between two equal marks that no word touches from outside; twice over, for marks within marks. */
const MARKED = /(?<![\w*])(\*{1,3}|_{1,3}|~~|`+)(\S|\S.*?\S)\1(?![\w*])/g;

/** Markdown, and HTML in it, without marks, on one line: for a list or a screen reader. */
export function plainText(markdown: string): string {
  return htmlAsMarkdown(markdown, { plain: true })
    .replace(/^\s*(?:`{3,}|~{3,})[^`\n]*$/gm, '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(MARKED, '$2')
    .replace(MARKED, '$2')
    .replace(/^\s*(?:[#>]+|[-*+]|\d+\.)\s+/gm, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** `Firefox on Linux`, from what the browser sent as its name. */
export function deviceName(userAgent: string): string {
  const find = (table: readonly (readonly [RegExp, string])[]) =>
    table.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = find([
    [/Edg\//, 'Edge'],
    [/OPR\//, 'Opera'],
    [/Firefox\/|FxiOS/, 'Firefox'],
    [/Chrome\/|CriOS/, 'Chrome'],
    [/Safari\//, 'Safari'],
  ]);
  const system = find([
    [/iPhone|iPad/, 'iOS'],
    [/Android/, 'Android'],
    [/Windows/, 'Windows'],
    [/Mac OS X/, 'macOS'],
    [/Linux/, 'Linux'],
  ]);
  if (browser !== undefined && system !== undefined) return `${browser} on ${system}`;
  return browser ?? system ?? (userAgent.slice(0, 60) || 'Unknown device');
}
