/**
 * Markdown as elements of the page. HTML in it is put into Markdown before (`lib/html.ts`), and no element is made because
 * a text names it. Links open elsewhere and tell nothing of this page, and pictures become links, since a reply must not make
 * the reader's browser call an address of its choice.
 */
import { Lexer, Tokenizer, type MarkedToken, type Token, type Tokens } from 'marked';
import { Fragment, memo, type ReactNode } from 'react';
import { decoded, htmlAsMarkdown } from '../lib/html';

/** What looks like a block of HTML is a paragraph like others. */
class WithoutHtml extends Tokenizer {
  override html(): undefined {
    return undefined;
  }
}

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const lexer = new Lexer({ gfm: true, breaks: true, tokenizer: new WithoutHtml() });
  return <div className="markdown">{all(lexer.lex(htmlAsMarkdown(text)))}</div>;
});

/** The tags that words in a line are marked by; links name where they lead. */
const TAG = /^<(\/?)(strong|em|u|del|a|br)(?: href="([^"]*)")?>$/;

type Marks = 'strong' | 'em' | 'u' | 'del' | 'a';
/** Of marks within marks the inner ones say nothing new. */
const MAX_MARKS = 16;

/** Tags stand beside what they mark, and here around it; what is not closed ends with what it is in. */
function all(tokens: readonly Token[] | undefined, isLinked = false): ReactNode {
  const rest: ReactNode[] = [];
  const open: { name: Marks; href: string | undefined; inside: ReactNode[] }[] = [];
  const put = (node: ReactNode) => (open.at(-1)?.inside ?? rest).push(node);
  const linked = () => isLinked || open.some(({ name }) => name === 'a');
  const close = (key: string) => {
    const { name: Name, href = '', inside } = open.pop() ?? { name: 'a' as const, inside: [] };
    const isLink = Name === 'a' && !linked();
    put(
      Name !== 'a' ? (
        <Name key={key}>{inside}</Name>
      ) : (
        <Fragment key={key}>{isLink ? <Outward href={href}>{inside}</Outward> : inside}</Fragment>
      ),
    );
  };
  for (const [at, token] of (tokens ?? []).entries()) {
    const [tag, slash, name = '', href] = token.type === 'html' ? (TAG.exec(token.raw) ?? []) : [];
    if (tag === undefined) put(<One key={at} token={token as MarkedToken} isLinked={linked()} />);
    else if (name === 'br') put(<br key={at} />);
    else if (slash !== '/') {
      if (open.length < MAX_MARKS) open.push({ name: name as Marks, href, inside: [] });
    } else {
      const from = open.findLastIndex((one) => one.name === name);
      for (let n = open.length - 1; from >= 0 && n >= from; n -= 1) close(`${at}-${n}`);
    }
  }
  while (open.length > 0) close(`end-${open.length}`);
  return rest;
}

function One({ token, isLinked }: { token: MarkedToken; isLinked: boolean }): ReactNode {
  switch (token.type) {
    case 'paragraph':
      return <p dir="auto">{all(token.tokens, isLinked)}</p>;
    case 'heading':
      // A reply's headings are no headings of the page.
      return (
        <p className="markdown__heading" dir="auto">
          {all(token.tokens, isLinked)}
        </p>
      );
    case 'text':
      return token.tokens ? all(token.tokens, isLinked) : decoded(token.text);
    case 'escape':
      return token.text;
    case 'html':
      return token.raw;
    case 'strong':
      return <strong>{all(token.tokens, isLinked)}</strong>;
    case 'em':
      return <em>{all(token.tokens, isLinked)}</em>;
    case 'del':
      return <del>{all(token.tokens, isLinked)}</del>;
    case 'codespan':
      return <code>{token.text}</code>;
    case 'code':
      // It scrolls, and so does a table: the keyboard must reach them.
      return (
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <pre tabIndex={0} role="region" aria-label="Code">
          <code>{token.text}</code>
        </pre>
      );
    case 'br':
      return <br />;
    case 'hr':
      return <hr />;
    case 'blockquote':
      return <blockquote dir="auto">{inside(token.tokens)}</blockquote>;
    case 'link':
      return isLinked ? (
        all(token.tokens, true)
      ) : (
        <Outward href={token.href}>{all(token.tokens, true)}</Outward>
      );
    case 'image':
      return isLinked ? (
        token.text || 'Picture'
      ) : (
        <Outward href={token.href}>{token.text || 'Picture'}</Outward>
      );
    case 'list':
      return <List list={token} />;
    case 'table':
      return <Table table={token} />;
    case 'checkbox':
      return token.checked ? '☑ ' : '☐ ';
    case 'space':
    case 'def':
      return null;
    default:
      return token.raw;
  }
}

/** What stands in a list or a quote runs as the whole of it does, which looks at no text that says its own direction. */
function inside(tokens: readonly Token[]): ReactNode {
  return tokens.map((token, at) =>
    token.type === 'paragraph' ? (
      <p key={at}>{all(token.tokens)}</p>
    ) : (
      <Fragment key={at}>{all([token])}</Fragment>
    ),
  );
}

function Outward({ href, children }: { href: string; children: ReactNode }) {
  const address = decoded(href);
  // Anything but these could run code or call a program.
  if (!/^(?:https?:\/\/|mailto:)/i.test(address)) return children;
  return (
    <a href={address} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

function List({ list }: { list: Tokens.List }) {
  const items = list.items.map((item, at) => <li key={at}>{inside(item.tokens)}</li>);
  return list.ordered ? (
    <ol dir="auto" start={list.start === '' ? 1 : list.start}>
      {items}
    </ol>
  ) : (
    <ul dir="auto">{items}</ul>
  );
}

function Table({ table }: { table: Tokens.Table }) {
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className="markdown__table" tabIndex={0} role="region" aria-label="Table">
      <table>
        <thead>
          <tr>
            {table.header.map((cell, at) => (
              <th key={at} scope="col" dir="auto">
                {all(cell.tokens)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) => (
                <td key={column} dir="auto">
                  {all(cell.tokens)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
