import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { Markdown } from './markdown';

function rendered(text: string): string {
  const html = renderToStaticMarkup(<Markdown text={text} />);
  return html.replace(/^<div class="markdown">|<\/div>$/g, '');
}

describe('Markdown of a reply', () => {
  it('shows what characters use: actions, emphasis, lines, lists, code', () => {
    expect(rendered('*She nods.* **Hold** that rope.\nNow!')).toBe(
      '<p><em>She nods.</em> <strong>Hold</strong> that rope.<br/>Now!</p>',
    );
    expect(rendered('- one\n- two')).toBe('<ul><li>one</li><li>two</li></ul>');
    expect(rendered('3. three\n4. four')).toBe('<ol start="3"><li>three</li><li>four</li></ol>');
    expect(rendered('`a < b`\n\n```js\nlet x = "<b>";\n```')).toBe(
      '<p><code>a &lt; b</code></p><pre><code>let x = &quot;&lt;b&gt;&quot;;</code></pre>',
    );
  });

  it('keeps HTML as text', () => {
    for (const html of [
      '<script>alert(1)</script>',
      '<img src=x onerror=alert(1)>',
      'hello <b onclick="x">there</b>',
      '<!-- x --><iframe src="https://x.test"></iframe>',
    ]) {
      const markup = rendered(html);
      expect(markup.replace(/<\/?(?:p|br)\/?>/g, '')).not.toMatch(/<[a-z!/]/i);
    }
  });

  it('links only to web and mail addresses', () => {
    expect(rendered('[x](https://x.test/a)')).toContain('rel="noopener noreferrer nofollow"');
    for (const href of [
      'javascript:alert(1)',
      'JaVaScRiPt:alert(1)',
      'data:text/html,x',
      'vbscript:x',
      '//x.test',
      '/api/auth/logout',
      'java&#115;cript:alert(1)',
    ]) {
      expect(rendered(`[press](${href})`), href).toBe('<p>press</p>');
    }
  });

  it('loads no picture', () => {
    const markup = rendered('![a view](https://x.test/track.png)');
    expect(markup).not.toContain('<img');
    expect(markup).toContain('>a view</a>');
  });

  it('does not break on what is cut off in the middle of a stream', () => {
    const text =
      'One *two* [three](https://x.test) `four`\n\n| a | b |\n|---|---|\n| c | d |\n\n```\nfive\n```\n- [x] six <b>';
    for (let at = 0; at <= text.length; at += 1) expect(() => rendered(text.slice(0, at))).not.toThrow();
  });
});
