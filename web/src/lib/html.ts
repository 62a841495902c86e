/**
 * HTML in what people and models write, put into Markdown: cards are full of it. Nothing of it is ever made an element
 * by name: what Markdown has a sign for becomes that sign, of the rest the text stays. Tags that mark words in a line are left
 * in one plain form, which `ui/markdown.tsx` knows. What is no whole tag, and all code, stays as it stands.
 */

/** Tags that mark words, by what they become. */
const INLINE = new Map([
  ['b', 'strong'],
  ['strong', 'strong'],
  ['i', 'em'],
  ['em', 'em'],
  ['u', 'u'],
  ['ins', 'u'],
  ['s', 'del'],
  ['strike', 'del'],
  ['del', 'del'],
]);
/** Tags that stand in lines of their own. */
const BLOCKS = new Set(
  `address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer
   form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol p pre section summary table tbody tfoot thead tr ul`.split(
    /\s+/,
  ),
);
/** Their contents are for a browser, and no words. */
const UNSAID = new Set(['script', 'style']);
/** Attributes that may stand without a value; other bare words after a name are somebody's words. */
const BARE = new Set([
  'allowfullscreen',
  'async',
  'controls',
  'defer',
  'disabled',
  'hidden',
  'loop',
  'muted',
  'open',
]);

/** Quotes within quotes, and lists within lists; what is deeper stands beside what it is in. */
const MAX_DEPTH = 8;

interface Tag {
  name: string;
  closes: boolean;
  attributes: ReadonlyMap<string, string>;
  end: number;
}

const NAME = /<(\/?)([a-z][a-z0-9-]*)/iy;
const ATTRIBUTE = /[\s/]+([a-z_:@][\w:.@-]*)(?:[ \t\n]*=[ \t\n]*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/iy;
const END = /[\s/]*>/y;
const SIGN = /[\\<`\n]/g;

/** The whole tag that begins at `at`; undefined where none does. */
function tagAt(text: string, at: number): Tag | undefined {
  NAME.lastIndex = at;
  const [whole, slash, name] = NAME.exec(text) ?? [];
  if (whole === undefined || name === undefined) return undefined;
  const attributes = new Map<string, string>();
  let end = at + whole.length;
  for (;;) {
    END.lastIndex = end;
    const close = END.exec(text);
    if (close !== null)
      return { name: name.toLowerCase(), closes: slash === '/', attributes, end: end + close[0].length };
    ATTRIBUTE.lastIndex = end;
    const found: (string | undefined)[] = ATTRIBUTE.exec(text) ?? [];
    const [said, key] = found;
    if (said === undefined || key === undefined) return undefined;
    const value = found[2] ?? found[3] ?? found[4];
    if (value === undefined && !BARE.has(key.toLowerCase())) return undefined;
    attributes.set(key.toLowerCase(), value ?? '');
    end += said.length;
  }
}

const FENCE = /^[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)?(`{3,}(?=[^`\n]*$)|~{3,})/;

/** Where the code ends that begins at `at`, or `at` where none does: between fences or ticks. */
function codeEnd(text: string, at: number, isLineStart: boolean): number {
  const lineEnd = (from: number) => (text.indexOf('\n', from) + 1 || text.length + 1) - 1;
  const fence = isLineStart ? FENCE.exec(text.slice(at, lineEnd(at)))?.[1] : undefined;
  if (fence !== undefined) {
    for (let from = lineEnd(at) + 1; from <= text.length;) {
      const end = lineEnd(from);
      const mark = /^[ \t>]*(`{3,}|~{3,})[ \t]*$/.exec(text.slice(from, end))?.[1];
      if (mark?.startsWith(fence)) return end;
      from = end + 1;
    }
    return text.length;
  }
  if (text[at] !== '`') return at;
  const ticks = /^`+/.exec(text.slice(at, lineEnd(at)))?.[0] ?? '';
  const paragraph = text.slice(at + ticks.length).split(/\n[ \t]*\n/, 1)[0] ?? '';
  const close = new RegExp(`(?<!\`)${ticks}(?!\`)`).exec(paragraph);
  return at + ticks.length + (close === null ? 0 : close.index + ticks.length);
}

/** As code of Markdown, whatever ticks are in it. */
function asCode(text: string): string {
  const words = decoded(text);
  const longest = Math.max(0, ...(words.match(/`+/g) ?? []).map((run) => run.length));
  if (!words.trim()) return '';
  if (words.includes('\n')) {
    const fence = '`'.repeat(Math.max(3, longest + 1));
    return `\n\n${fence}\n${words.replace(/^\n|\n$/g, '')}\n${fence}\n\n`;
  }
  const ticks = '`'.repeat(longest + 1);
  return longest > 0 ? `${ticks} ${words} ${ticks}` : ticks + words + ticks;
}

/** In a link's `<…>`, or the value of an attribute. */
const asAddress = (text: string): string =>
  decoded(text)
    .trim()
    .replace(/\s/g, '%20')
    .replace(/[<>"\\]/g, encodeURIComponent);

/**
 * `plain`: for a line of a list, without marks of words, and with entities as what they stand for.
 */
export function htmlAsMarkdown(text: string, { plain = false } = {}): string {
  if (!/[<&]/.test(text)) return text;
  let out = '';
  /** Lists that are open, each with whether it counts, and how many quotes are. */
  const lists: boolean[] = [];
  let quotes = 0;
  let at = 0;
  let isLineStart = true;
  /** What is not closed is looked for once. */
  const unclosed = new Set<string>();
  const put = (words: string) => {
    out += quotes > 0 ? words.replace(/\n/g, `\n${'> '.repeat(quotes)}`) : words;
  };
  /** Ends the line, or with two of them the paragraph, where it is not at its end already. */
  const breakLine = (breaks: '\n' | '\n\n') => {
    const tail = out.length > 80 ? `.${out.slice(-80)}` : out;
    // What an element begins with stands right behind its sign.
    if (/^$|(?:^|\n)[> \t]*(?:[-*+]|\d+\.|#{1,6})[ \t]+$/.test(tail)) return;
    while (/[ \t]/.test(out.at(-1) ?? '')) out = out.slice(0, -1);
    const ends = /(?:\n[> ]*){1,2}$/.exec(out.slice(-40))?.[0].match(/\n/g)?.length ?? 0;
    if (ends < breaks.length) put(breaks.slice(ends));
  };
  /** Layout, and no words. */
  const skipSpace = () => {
    for (; /\s/.test(text[at] ?? ''); at += 1) isLineStart ||= text[at] === '\n';
  };
  /** Where the element ends whose first tag ends here: its contents, and all of it. */
  const whole = (name: string) => {
    if (unclosed.has(name)) return undefined;
    const end = new RegExp(`</${name}\\s*>`, 'i').exec(text.slice(at));
    if (end === null) unclosed.add(name);
    return end === null
      ? undefined
      : { inside: text.slice(at, at + end.index), length: end.index + end[0].length };
  };
  const block = (name: string, closes: boolean) => {
    if (name === 'li') {
      breakLine('\n');
      if (!closes && !plain) put('   '.repeat(Math.max(0, lists.length - 1)) + (lists.at(-1) ? '1. ' : '- '));
    } else if (name === 'ul' || name === 'ol') {
      if (closes) lists.pop();
      breakLine(lists.length > 0 ? '\n' : '\n\n');
      if (!closes && lists.length < MAX_DEPTH) lists.push(name === 'ol');
    } else {
      breakLine('\n\n');
      if (name === 'blockquote' && !plain) {
        if (!closes && quotes < MAX_DEPTH) out += '> ';
        else if (closes && quotes > 0) out += '\n\n';
        quotes = Math.min(MAX_DEPTH, Math.max(0, quotes + (closes ? -1 : 1)));
      } else if (name === 'hr' && !plain) put('---\n\n');
      else if (/^h\d$/.test(name) && !closes && !plain) put(`${'#'.repeat(Number(name[1]))} `);
    }
    skipSpace();
  };
  const tagged = ({ name, closes, attributes }: Tag) => {
    const inside = !closes && (UNSAID.has(name) || name === 'code') ? whole(name) : undefined;
    if (inside !== undefined) {
      if (name === 'code') put(plain ? decoded(inside.inside) : asCode(inside.inside));
      at += inside.length;
    } else if (BLOCKS.has(name)) {
      block(name, closes);
    } else if (name === 'td' || name === 'th') {
      put(' ');
    } else if (name === 'br') {
      // Where the line ends anyway it breaks once.
      if (!/^[ \t]*(?:\n|$)/.test(text.slice(at, at + 80))) put(plain ? ' ' : '<br>');
    } else if (name === 'img') {
      const alt = decoded(attributes.get('alt') ?? '')
        .replace(/[[\]\\`<>\n]/g, ' ')
        .trim();
      if (attributes.has('src')) put(plain ? alt : `![${alt}](<${asAddress(attributes.get('src') ?? '')}>)`);
    } else if (!plain && name === 'a') {
      put(closes ? '</a>' : `<a href="${asAddress(attributes.get('href') ?? '')}">`);
    } else if (!plain && INLINE.has(name)) {
      put(`<${closes ? '/' : ''}${INLINE.get(name)}>`);
    }
  };
  while (at < text.length) {
    const sign = text[at] ?? '';
    const code = codeEnd(text, at, isLineStart);
    isLineStart = sign === '\n';
    if (code > at) {
      put(text.slice(at, code));
      at = code;
    } else if (sign === '<') {
      const comment =
        text.startsWith('<!--', at) && !unclosed.has('!') ? text.indexOf('-->', at + 4) : undefined;
      if (comment === -1) unclosed.add('!');
      const type = /^<!doctype[^<>]*>/i.exec(text.slice(at, at + 200))?.[0].length;
      const tag = tagAt(text, at);
      if (comment !== undefined && comment > 0) {
        at = comment + 3;
      } else if (type !== undefined) {
        at += type;
      } else if (tag !== undefined) {
        at = tag.end;
        tagged(tag);
      } else {
        put(sign);
        at += 1;
      }
    } else {
      // Up to the next sign that may mean something; an escaped one means nothing.
      SIGN.lastIndex = at + (sign === '\\' ? 2 : 1);
      const end = sign === '\n' ? at + 1 : (SIGN.exec(text)?.index ?? text.length);
      const words = text.slice(at, end);
      put(plain ? decoded(words) : words);
      at = end;
    }
  }
  return out;
}

/** The names of U+00A0 to U+00FF, in their order. */
const LATIN =
  `nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para
   middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave
   Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc
   Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc
   iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml`.split(
    /\s+/,
  );
const ENTITIES = new Map([
  ...LATIN.map((name, at) => [name, String.fromCodePoint(0xa0 + at)] as const),
  ...Object.entries({
    ...{
      amp: '&',
      lt: '<',
      gt: '>',
      quot: '"',
      apos: "'",
      hellip: '…',
      mdash: '—',
      ndash: '–',
      lsquo: '‘',
      rsquo: '’',
    },
    ...{
      ldquo: '“',
      rdquo: '”',
      sbquo: '‚',
      bdquo: '„',
      lsaquo: '‹',
      rsaquo: '›',
      bull: '•',
      dagger: '†',
      trade: '™',
    },
    ...{
      euro: '€',
      larr: '←',
      uarr: '↑',
      rarr: '→',
      darr: '↓',
      harr: '↔',
      hearts: '♥',
      spades: '♠',
      clubs: '♣',
    },
    ...{ diams: '♦', star: '☆', starf: '★', infin: '∞', ensp: '\u2002', emsp: '\u2003', thinsp: '\u2009' },
    ...{ zwnj: '\u200c', zwj: '\u200d', lrm: '\u200e', rlm: '\u200f', NewLine: '\n', Tab: '\t' },
  }),
]);

/** A text with its entities as what they stand for; what names none stays. */
export function decoded(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z][a-z\d]{1,8}));/gi,
    (whole, ten, sixteen, name) => {
      if (name !== undefined) return ENTITIES.get(name as string) ?? whole;
      const code = ten === undefined ? Number.parseInt(sixteen as string, 16) : Number(ten);
      const isSign = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
      return isSign ? String.fromCodePoint(code) : '\ufffd';
    },
  );
}
