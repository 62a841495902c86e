// The page's own code, for tests that need what a client makes of what it hears.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const web = new URL('../../web/', import.meta.url);

/** The exports of modules of the page, given by their paths in `web/src`: bundled as Vite would, without a browser. */
export async function pageModule(...paths) {
  const { build } = createRequire(new URL('package.json', web))('esbuild');
  const { outputFiles } = await build({
    stdin: { contents: paths.map((path) => `export * from './${path}';`).join('\n'), resolveDir: fileURLToPath(new URL('src', web)) },
    bundle: true, format: 'esm', platform: 'neutral', write: false, logLevel: 'silent',
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

/**
 * Lets the page's modules ask the server as this person does, until `act` is over; the socket tells them what it hears, through the
 * connection that `act` is given.
 */
export async function asPageOf(person, socket, act) {
  const calls = globalThis.fetch;
  const heard = [];
  globalThis.fetch = (path, init) => calls(
    path.startsWith('/') ? person.server.url + path : path,
    path.startsWith('/') ? { ...init, headers: { ...init?.headers, authorization: `Bearer ${person.token}` } } : init,
  );
  const onEvent = (take) => {
    const listener = (name, payload) => take({ name, payload });
    heard.push(listener);
    socket.io.onAny(listener);
    return () => socket.io.offAny(listener);
  };
  try {
    return await act({ onEvent });
  } finally {
    globalThis.fetch = calls;
    for (const listener of heard) socket.io.offAny(listener);
  }
}
