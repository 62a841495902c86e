/**
 * Markdown as elements of the page. No HTML is ever made or read: what looks like it stays text. Links open elsewhere
 * and tell nothing of this page, and pictures become links, since a reply must not make the reader's browser call an
 * address of its choice.
 */
import { Lexer, type MarkedToken, type Token, type Tokens } from 'marked';
import { memo, type ReactNode } from 'react';

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  return <div className="markdown">{all(new Lexer({ gfm: true, breaks: true }).lex(text))}</div>;
});

function all(tokens: readonly Token[] | undefined): ReactNode {
  return tokens?.map((token, at) => <One key={at} token={token as MarkedToken} />);
}

function One({ token }: { token: MarkedToken }): ReactNode {
  switch (token.type) {
    case 'paragraph':
      return <p>{all(token.tokens)}</p>;
    case 'heading':
      // A reply's headings are no headings of the page.
      return <p className="markdown__heading">{all(token.tokens)}</p>;
    case 'text':
      return token.tokens ? all(token.tokens) : token.text;
    case 'escape':
      return token.text;
    case 'html':
      return token.raw;
    case 'strong':
      return <strong>{all(token.tokens)}</strong>;
    case 'em':
      return <em>{all(token.tokens)}</em>;
    case 'del':
      return <del>{all(token.tokens)}</del>;
    case 'codespan':
      return <code>{token.text}</code>;
    case 'code':
      return (
        <pre>
          <code>{token.text}</code>
        </pre>
      );
    case 'br':
      return <br />;
    case 'hr':
      return <hr />;
    case 'blockquote':
      return <blockquote>{all(token.tokens)}</blockquote>;
    case 'link':
      return <Outward href={token.href}>{all(token.tokens)}</Outward>;
    case 'image':
      return <Outward href={token.href}>{token.text || 'Picture'}</Outward>;
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

function Outward({ href, children }: { href: string; children: ReactNode }) {
  // Anything but these could run code or call a program.
  if (!/^(?:https?:\/\/|mailto:)/i.test(href)) return children;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

function List({ list }: { list: Tokens.List }) {
  const items = list.items.map((item, at) => <li key={at}>{all(item.tokens)}</li>);
  return list.ordered ? <ol start={list.start === '' ? 1 : list.start}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ table }: { table: Tokens.Table }) {
  return (
    <div className="markdown__table">
      <table>
        <thead>
          <tr>
            {table.header.map((cell, at) => (
              <th key={at} scope="col">
                {all(cell.tokens)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) => (
                <td key={column}>{all(cell.tokens)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
