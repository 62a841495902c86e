// The page's own code, for tests that need what a client makes of what it hears.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const web = new URL('../../web/', import.meta.url);

/** The exports of a module of the page, given by its path in `web/src`: bundled as Vite would, without a browser. */
export async function pageModule(path) {
  const { build } = createRequire(new URL('package.json', web))('esbuild');
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`src/${path}`, web))],
    bundle: true, format: 'esm', platform: 'neutral', write: false, logLevel: 'silent',
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}
