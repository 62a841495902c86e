/** The keys of an entry as one types them: parted by commas, except those of a regular expression between slashes. */

/** What the server takes for a regular expression: `/pattern/flags`, with a backslash before a slash within it. */
const REGEX = /^\/((?:\\.|[^/\\])+)\/([dgimsuvy]*)$/s;
const REGEX_AHEAD = /^\/(?:\\.|[^/\\])+\/[dgimsuvy]*(?=\s*(?:,|$))/s;

/** What the server cannot do, since it looks at each sign once: to look around, or back at what was found. */
const LOOKS_AROUND = /\(\?(?:[=!]|<[=!])|\\[1-9]|\\k</;

/**
 * `one, two\, three, /four, five/i` is three keys. Backslashes are signs like others, except before a comma (the comma is the key's, and two
 * backslashes are one) and before a slash at the beginning (the key is no regular expression).
 */
export function keysOf(text: string): string[] {
  const keys: string[] = [];
  let rest = text;
  while (rest !== '') {
    rest = rest.trimStart();
    const regex = REGEX_AHEAD.exec(rest)?.[0];
    const comma = regex === undefined ? -1 : rest.indexOf(',', regex.length);
    const [key, end] = regex === undefined ? wordsOf(rest) : [regex, comma === -1 ? rest.length : comma];
    rest = rest.slice(end + 1);
    if (key.trim() !== '') keys.push(key.trim());
  }
  return keys;
}

/** The key that a text begins with, which is no regular expression, and where the comma after it is. */
function wordsOf(text: string): [string, number] {
  let key = '';
  let at = /^\\+\//.test(text) ? 1 : 0;
  while (at < text.length && text[at] !== ',') {
    const backslashes = /^\\*/.exec(text.slice(at))?.[0].length ?? 0;
    const next = at + backslashes;
    if (backslashes > 0 && text[next] === ',') {
      key += '\\'.repeat(backslashes >> 1);
      if (backslashes % 2 === 0) return [key, next];
      key += ',';
    } else {
      key += text.slice(at, next + 1);
    }
    at = next + 1;
  }
  return [key, at];
}

/** What `keysOf` reads them from, without spaces around them. */
export function textOf(keys: readonly string[]): string {
  let text: string | undefined;
  for (const key of keys.map((one) => one.trim()).reverse()) {
    if (key === '') continue;
    let own = key;
    if (!REGEX.test(key)) {
      own = own.replace(/(\\*),/g, '$1$1\\,');
      if (text !== undefined) own = own.replace(/\\+$/, '$&$&');
      // What comes after it must not make it a regular expression.
      const seems = REGEX_AHEAD.test(text === undefined ? own : `${own}, ${text}`);
      if (seems || /^\\+\//.test(own)) own = `\\${own}`;
    }
    text = text === undefined ? own : `${own}, ${text}`;
  }
  return text ?? '';
}

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
