/** The keys of an entry as one types them: parted by commas, except those of a regular expression between slashes. */

/** What the server takes for a regular expression: `/pattern/flags`, with a backslash before a slash within it. */
const REGEX = /^\/((?:\\.|[^/\\])+)\/([dgimsuvy]*)$/s;
const REGEX_AHEAD = /^\/(?:\\.|[^/\\])+\/[dgimsuvy]*(?=\s*(?:,|$))/s;

/** What the server cannot do, since it looks at each sign once: to look around, or back at what was found. */
const LOOKS_AROUND = /\(\?(?:[=!]|<[=!])|\\[1-9]|\\k</;

/** `one, two\, three, /four, five/i` is three keys. */
export function keysOf(text: string): string[] {
  const keys: string[] = [];
  let rest = text;
  while (rest !== '') {
    rest = rest.trimStart();
    const regex = REGEX_AHEAD.exec(rest)?.[0];
    let key = regex ?? '';
    let at = key.length;
    if (regex === undefined) {
      for (; at < rest.length && rest[at] !== ','; at += 1) {
        if (rest[at] === '\\' && rest[at + 1] === ',') at += 1;
        key += rest[at] ?? '';
      }
    } else {
      at = rest.indexOf(',', at) === -1 ? rest.length : rest.indexOf(',', at);
    }
    rest = rest.slice(at + 1);
    if (key.trim() !== '') keys.push(key.trim());
  }
  return keys;
}

export const textOf = (keys: readonly string[]): string =>
  keys.map((key) => (REGEX.test(key) ? key : key.replaceAll(',', '\\,'))).join(', ');

/** What is wrong with a key that is a regular expression, as a sentence. `bare`: all of them are. */
export function wrongKey(keys: readonly string[], bare: boolean): string | undefined {
  for (const key of keys) {
    const [, between, flags] = REGEX.exec(key) ?? [];
    if (between === undefined && !bare) continue;
    const pattern = between ?? key;
    try {
      new RegExp(pattern, flags);
    } catch {
      return `“${key}” is no regular expression.`;
    }
    if (LOOKS_AROUND.test(pattern)) return `“${key}” looks around itself, which cannot be done here.`;
  }
  return undefined;
}
