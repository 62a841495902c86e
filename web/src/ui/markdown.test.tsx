import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { htmlAsMarkdown } from '../lib/html';
import { Markdown } from './markdown';

function rendered(text: string): string {
  const html = renderToStaticMarkup(<Markdown text={text} />);
  return html
    .replace(/^<div class="markdown">|<\/div>$/g, '')
    .replaceAll(/ dir="auto"| tabindex="0" role="region" aria-label="Code"/g, '');
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

  it('makes no element because a text names it', () => {
    const own =
      /<(?:(?:p|strong|em|br)\/?|\/(?:p|strong|em|a)|a href="https:[^"]*" target="_blank" rel="[^"]*")>/g;
    for (const html of [
      '<script>alert(1)</script>',
      '<img src=x onerror=alert(1)>',
      'hello <b onclick="x">there</b>',
      '<!-- x --><iframe src="https://x.test"></iframe>',
      '<svg/onload=alert(1)><a href="https://x.test" onclick="x">y</a>',
      '<a href="javascript:alert(1)">press</a> <a href="&#106;avascript:alert(1)">press</a>',
      '<object data="x"></object><form action=x><input autofocus onfocus="x">',
      '<scr<script>x</script>ipt>alert(1)',
    ]) {
      expect(rendered(html).replace(own, ''), html).not.toMatch(/<[a-z!/]/i);
      expect(rendered(html), html).not.toMatch(/javascript:/i);
    }
    expect(rendered('a<script>alert(1)</script><style>p {}</style><!-- no -->b')).toBe('<p>ab</p>');
  });

  it('shows what tags mean, and the text of those that mean nothing here', () => {
    expect(rendered('<b>Hold</b> <i>that</i> <u>old</u> <s>rope</s><br>now')).toBe(
      '<p><strong>Hold</strong> <em>that</em> <u>old</u> <del>rope</del><br/>now</p>',
    );
    expect(
      rendered('<div style="x">\n    *She nods.*\n  <p>Go.</p>\n</div>\nOn <span class=y>deck</span>'),
    ).toBe('<p><em>She nods.</em></p><p>Go.</p><p>On deck</p>');
    expect(rendered('<center><h2>Mara</h2></center><hr/>text')).toBe(
      '<p class="markdown__heading">Mara</p><hr/><p>text</p>',
    );
    expect(rendered('<ul>\n <li>one</li>\n <li>two <b>three</b></li>\n</ul>')).toBe(
      '<ul><li>one</li><li>two <strong>three</strong></li></ul>',
    );
    expect(rendered('<ol><li>one</li><li>two</li></ol>')).toBe('<ol start="1"><li>one</li><li>two</li></ol>');
    expect(rendered('<blockquote>said\nso</blockquote>after')).toBe(
      '<blockquote><p>said<br/>so</p></blockquote><p>after</p>',
    );
    expect(rendered('<details><summary>More</summary>Text</details>')).toBe('<p>More</p><p>Text</p>');
    expect(rendered('<code>a*b*c &lt;</code>')).toBe('<p><code>a*b*c &lt;</code></p>');
    expect(rendered('Fish&nbsp;&amp; chips &#8212; &eacute; &unknown;')).toBe(
      '<p>Fish\u00a0&amp; chips — é &amp;unknown;</p>',
    );
    expect(rendered('<b>open *and* on')).toBe('<p><strong>open <em>and</em> on</strong></p>');
  });

  it('lets each paragraph run as it is written, and lists and quotes as a whole', () => {
    const html = renderToStaticMarkup(<Markdown text={'שלום Mara\n\nHello\n\n- نعم\n\n> كتاب'} />);
    expect(html.match(/<(?:p|ul|blockquote) dir="auto">/g)).toHaveLength(4);
    expect(html).toContain('<blockquote dir="auto"><p>كتاب</p>');
    expect(html).toContain('<ul dir="auto"><li>نعم</li>');
  });

  it('links as Markdown does, and loads no picture of HTML', () => {
    expect(rendered('<a href="https://x.test/?a=1&amp;b=2" onclick="x">there</a>')).toBe(
      '<p><a href="https://x.test/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow">there</a></p>',
    );
    expect(rendered('<img src="https://x.test/a.png" alt="a view">')).toContain('>a view</a>');
    expect(rendered('<img src="https://x.test/a.png">')).toContain('>Picture</a>');
    expect(
      rendered('<a href="https://x.test"><img src="https://y.test/a.png"></a>').match(/<a /g),
    ).toHaveLength(1);
    expect(rendered('[![a](https://y.test/a.png)](https://x.test)').match(/<a /g)).toHaveLength(1);
  });

  it('leaves what is no tag, and code', () => {
    expect(rendered('a < b, <3, 1<2>0 and <unknown word')).toBe(
      '<p>a &lt; b, &lt;3, 1&lt;2&gt;0 and &lt;unknown word</p>',
    );
    expect(rendered('for <word and word> too')).toBe('<p>for &lt;word and word&gt; too</p>');
    expect(rendered('`<b>&amp;</b>`')).toBe('<p><code>&lt;b&gt;&amp;amp;&lt;/b&gt;</code></p>');
    expect(rendered('```html\n<div>\n\n<br>&amp;\n```')).toBe(
      '<pre><code>&lt;div&gt;\n\n&lt;br&gt;&amp;amp;</code></pre>',
    );
    expect(rendered('*a* "b" \\<b>')).toBe('<p><em>a</em> &quot;b&quot; &lt;b&gt;</p>');
  });

  it('is done with much of it soon', () => {
    const begun = performance.now();
    for (const part of [
      '<',
      '<a b="',
      '<!--',
      '<script>',
      '<b>',
      '<div>',
      '`',
      '<blockquote>',
      '<a b=c ',
      '&',
      '<ul><li>',
    ])
      htmlAsMarkdown(part.repeat(30_000 / part.length));
    expect(performance.now() - begun).toBeLessThan(5_000);
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
