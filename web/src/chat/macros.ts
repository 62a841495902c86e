/**
 * The macros of a character's texts, put in as the server will when a conversation begins. What it draws then is drawn here by the
 * text itself, so that a page shows the same each time; the conversation may begin with another choice.
 */

export interface Names {
  character: string;
  user: string;
  /** Who the user is, by their persona; empty without one. */
  persona?: string;
}

/** Macros within macros; what is deeper stays as it stands. */
const MAX_DEPTH = 8;
/** Signs of a macro's name, with the spaces around it. */
const MAX_NAME = 64;
const MAX_DICE = 100;
const MAX_SIDES = 1_000_000_000;

type Draw = (end: number) => number;

/** FNV-1a over the text, stepped on with each draw. */
function drawsOf(text: string): Draw {
  let state = 2_166_136_261;
  const step = (value: number) => {
    state = Math.imul(state ^ value, 16_777_619) >>> 0;
  };
  for (let at = 0; at < text.length; at += 1) step(text.charCodeAt(at));
  return (end) => {
    step(end);
    return state % Math.max(end, 1);
  };
}

export function expandMacros(text: string, names: Names): string {
  return expand(text, names, drawsOf(text), 0);
}

/** Where each `{{` that has a `}}` of its own is, and that `}}`. Of three braces the last two are the macro's. */
function closes(text: string): Map<number, number> {
  const open: number[] = [];
  const found = new Map<number, number>();
  for (let at = 0; at + 1 < text.length;) {
    const two = text.slice(at, at + 2);
    if (two === '{{' && text[at + 2] !== '{') {
      open.push(at);
      at += 2;
    } else if (two === '}}') {
      const from = open.pop();
      if (from !== undefined) found.set(from, at);
      at += 2;
    } else {
      at += 1;
    }
  }
  return found;
}

function expand(text: string, names: Names, draw: Draw, depth: number): string {
  const ends = closes(text);
  let out = '';
  let at = 0;
  while (at < text.length) {
    const tag = /^<(?:bot|user)>/i.exec(text.slice(at, at + 6))?.[0];
    const end = ends.get(at);
    if (end !== undefined && /^\s*trim\s*$/i.test(text.slice(at + 2, Math.min(end, at + 2 + MAX_NAME)))) {
      // Takes the line breaks around it away.
      out = out.replace(/[\r\n]+$/, '');
      at = end + 2;
      while (text[at] === '\n' || text[at] === '\r') at += 1;
      continue;
    }
    const told = end === undefined ? undefined : standsFor(text.slice(at + 2, end), names, draw, depth);
    if (tag !== undefined) {
      out += tag.toLowerCase() === '<bot>' ? names.character : names.user;
      at += tag.length;
    } else if (end !== undefined && told !== undefined) {
      out += told;
      at = end + 2;
    } else {
      out += text[at] ?? '';
      at += 1;
    }
  }
  return out;
}

/** Undefined where it is no macro. */
function standsFor(inner: string, names: Names, draw: Draw, depth: number): string | undefined {
  switch (inner.length > MAX_NAME ? '' : inner.trim().toLowerCase()) {
    case 'char':
      return names.character;
    case 'user':
      return names.user;
    case 'persona':
      return names.persona ?? '';
    case 'newline':
      return '\n';
    case 'noop':
      return '';
  }
  if (inner.trimStart().startsWith('//')) return '';
  // Only so far is a name looked for: one macro may be in another a thousand times.
  const colon = inner.slice(0, MAX_NAME).indexOf(':');
  if (colon === -1) return undefined;
  const name = inner.slice(0, colon).trim().toLowerCase();
  const rest = inner.slice(colon + 1);
  const deeper = (text: string) => expand(text, names, draw, depth + 1);
  switch (name) {
    case 'hidden_key':
    case 'comment':
      return '';
    case 'random':
    case 'pick': {
      if (depth >= MAX_DEPTH) return undefined;
      const choices = choicesOf(rest);
      return deeper(choices[draw(choices.length)] ?? '');
    }
    case 'reverse':
      return depth >= MAX_DEPTH ? undefined : Array.from(deeper(rest)).reverse().join('');
    case 'roll':
      // One that cannot be rolled stays as it stands, and is done with: whoever looked into it again would look through each level twice.
      return depth >= MAX_DEPTH ? undefined : (roll(deeper(rest), draw) ?? `{{${inner}}}`);
    default:
      return undefined;
  }
}

/** `a,b,c`, with `\,` for a comma in one of them; or `:a::b::c`. Commas of a macro in it are its own. */
function choicesOf(text: string): string[] {
  if (text.startsWith(':'))
    return text
      .slice(1)
      .split('::')
      .map((part) => part.trim());
  const parts: string[] = [];
  let part = '';
  let braces = 0;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at] ?? '';
    if (sign === '\\' && text[at + 1] === ',') {
      part += ',';
      at += 1;
    } else if (sign === ',' && braces === 0) {
      parts.push(part);
      part = '';
    } else {
      if (sign === '{') braces += 1;
      if (sign === '}') braces = Math.max(braces - 1, 0);
      part += sign;
    }
  }
  return [...parts, part].map((one) => one.trim());
}

/** `20`, `d20` or `2d6`. */
function roll(text: string, draw: Draw): string | undefined {
  const [, many, sides] = /^(?:(\d*)d)?(\d+)$/i.exec(text.trim()) ?? [];
  const [dice, most] = [Number(many || 1), Number(sides)];
  if (!(dice >= 1 && dice <= MAX_DICE && most >= 1 && most <= MAX_SIDES)) return undefined;
  let sum = 0;
  for (let n = 0; n < dice; n += 1) sum += draw(most) + 1;
  return String(sum);
}
