// Gathers what the server embeds for /admin/queues into dist-board: the page of Bull Board as its package has it, and the
// fonts that it would fetch from elsewhere.
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, 'node_modules');
const out = join(here, 'dist-board');
const fonts = { 'ibm-plex-sans': [400, 500, 600], 'ibm-plex-mono': [400, 500] };

await rm(out, { recursive: true, force: true });
await cp(join(modules, '@bull-board/ui/dist'), out, { recursive: true });

await mkdir(join(out, 'static/fonts'), { recursive: true });
let style = '';
for (const [family, weights] of Object.entries(fonts)) {
  const from = join(modules, '@fontsource', family);
  for (const weight of weights) {
    const faces = await readFile(join(from, `${weight}.css`), 'utf8');
    // Every browser that runs the page knows woff2.
    style += faces.replaceAll(/, *url\([^)]*\.woff\) format\('woff'\)/g, '').replaceAll('./files/', './');
  }
}
for (const [, file] of style.matchAll(/url\(\.\/([^)]+)\)/g)) {
  const family = Object.keys(fonts).find((name) => file.startsWith(name));
  await cp(join(modules, '@fontsource', family, 'files', file), join(out, 'static/fonts', file));
}
await writeFile(join(out, 'static/fonts/fonts.css'), style);

const index = join(out, 'index.ejs');
const page = await readFile(index, 'utf8');
const own = page.replace(
  /<link href="https:\/\/fonts\.googleapis\.com[^>]*>/,
  '<link href="static/fonts/fonts.css" rel="stylesheet">',
);
// What is left would be refused by the content security policy: better to fail here than on somebody's screen.
const elsewhere = own.match(/(?:src|href)="https?:[^"]*"/);
if (own === page || elsewhere)
  throw new Error(`the page links ${elsewhere?.[0] ?? 'no fonts'}: look at it anew`);
await writeFile(index, own);
