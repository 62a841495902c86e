/** One call with a file in it. `XMLHttpRequest`, since `fetch` does not tell how much of a body is sent. */
import { ApiError, refusal as refusalOf } from '../api/client';

/** Longest without a byte that moves or an answer, in ms: a network that swallows everything tells nothing else. */
const SILENCE = 60_000;

export interface Ask {
  method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  headers?: Record<string, string>;
  body?: Blob | FormData;
  /** Hears how many bytes of the body are sent, of how many. */
  onSent?: (sent: number, of: number) => void;
  signal?: AbortSignal;
}

export interface Answer {
  status: number;
  header: (name: string) => string | null;
  /** What JSON there was, or an empty object. */
  body: unknown;
}

/**
 * Any answer, a refusal too. Rejects with an `ApiError` of code `offline` when none came, or with an `AbortError` when it
 * was given up.
 */
export type Exchange = (ask: Ask) => Promise<Answer>;

export const givenUp = () => new DOMException('given up', 'AbortError');

export const exchange: Exchange = ({ method, path, headers = {}, body, onSent, signal }) =>
  new Promise((done, fail) => {
    if (signal?.aborted) {
      fail(givenUp());
      return;
    }
    const call = new XMLHttpRequest();
    let quiet: ReturnType<typeof setTimeout> | undefined;
    const end = (how: () => void) => {
      clearTimeout(quiet);
      signal?.removeEventListener('abort', giveUp);
      window.removeEventListener('offline', breakOff);
      how();
    };
    const offline = () =>
      end(() => fail(new ApiError('offline', 'The server cannot be reached. Check your connection.')));
    const breakOff = () => {
      offline();
      call.abort();
    };
    const giveUp = () => {
      end(() => fail(givenUp()));
      call.abort();
    };
    const listen = () => {
      clearTimeout(quiet);
      quiet = setTimeout(breakOff, SILENCE);
    };
    call.open(method, path);
    for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
    call.responseType = 'json';
    call.upload.onprogress = (event) => {
      listen();
      if (event.lengthComputable) onSent?.(event.loaded, event.total);
    };
    call.onerror = offline;
    call.ontimeout = offline;
    call.onload = () =>
      end(() =>
        done({
          status: call.status,
          header: (name) => call.getResponseHeader(name),
          body: (call.response as unknown) ?? {},
        }),
      );
    signal?.addEventListener('abort', giveUp, { once: true });
    // A browser that knows that the network is gone may leave a call hanging all the same.
    window.addEventListener('offline', breakOff, { once: true });
    listen();
    call.send(body ?? null);
  });

/** What a refusal says. */
export const refusal = ({ status, header, body }: Answer): ApiError =>
  refusalOf(status, header('retry-after'), body ?? {});
