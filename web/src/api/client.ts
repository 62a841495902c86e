/**
 * Calls of the HTTP API. The session is a cookie that scripts cannot read, so there is no token here; every failure
 * is an `ApiError`, a lost connection too. An answer belongs to whoever asked: once somebody else is here, nobody gets it.
 */
import { plainDetail } from '../lib/limits';
import type { Code, FieldError, Problem } from './types';

/** Why there is no answer: the server is out of reach, or whoever asked has left. */
type Unanswered = 'offline' | 'left';

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: Code | Unanswered;
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  readonly errors: readonly FieldError[];
  /** Seconds until it is worth trying again. */
  readonly retryAfter: number | undefined;

  constructor(
    code: Code | Unanswered,
    detail: string,
    more: { status?: number; errors?: readonly FieldError[]; retryAfter?: number | undefined } = {},
  ) {
    super(detail);
    this.code = code;
    this.status = more.status ?? 0;
    this.errors = more.errors ?? [];
    this.retryAfter = more.retryAfter;
  }
}

/** Any failure as an `ApiError`, for a place that only has to show it. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError('internal', 'Something went wrong on this page. Reload it and try again.');
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
type Query = Record<string, string | number | undefined>;

interface Options {
  signal?: AbortSignal;
  /** A 401 is an answer here, not the end of the session, and it is told to whoever is here when it comes. */
  quiet?: boolean;
  /** Comes to its end though the page is closed; for short bodies. */
  keepalive?: boolean;
  /** The tag of what may be replaced, and nothing else: a 409 where it is another by now. */
  ifMatch?: string | undefined;
  /** Is told the tag of an answer. */
  onTag?: (tag: string | null) => void;
}

let whenSignedOut: () => void = () => undefined;
/** Counts who was here, so that each call knows whose it is. */
let visit = 0;

/** Somebody else is here from now on, or nobody: what is under way is not for them. */
export function beginVisit(): void {
  visit += 1;
}

/** Tells one visit from the next. */
export const visitNow = (): number => visit;

/** What to do when the server no longer knows the session. */
export function onSignedOut(handler: () => void): void {
  whenSignedOut = handler;
}

function address(path: string, query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return text === '' ? path : `${path}?${text}`;
}

/** What an answer that is no success says; `retryAfter` is the header of that name. */
export function refusal(status: number, retryAfter: string | null, body: Partial<Problem>): ApiError {
  const read = Number.parseInt(retryAfter ?? '', 10);
  const seconds = Number.isNaN(read) ? undefined : read;
  return new ApiError(
    body.code ?? (status >= 500 ? 'unavailable' : 'internal'),
    plainDetail(body.detail ?? body.title ?? `The server answered ${status}.`, seconds),
    { status, errors: body.errors ?? [], retryAfter: seconds },
  );
}

async function problem(response: Response): Promise<ApiError> {
  let body: Partial<Problem> = {};
  try {
    body = (await response.json()) as Partial<Problem>;
  } catch {
    // A proxy in between answered with something else; the status tells enough.
  }
  return refusal(response.status, response.headers.get('retry-after'), body);
}

async function call<T>(
  method: Method,
  path: string,
  options: Options & { query?: Query; body?: unknown } = {},
): Promise<T> {
  if (options.quiet === true) return ask<T>(method, path, options);
  const asker = visit;
  const stillHere = () => {
    if (asker !== visit) throw new ApiError('left', 'Whoever asked for this is no longer signed in here.');
  };
  try {
    const answer = await ask<T>(method, path, options);
    stillHere();
    return answer;
  } catch (error) {
    stillHere();
    if (error instanceof ApiError && error.status === 401) whenSignedOut();
    throw error;
  }
}

async function ask<T>(
  method: Method,
  path: string,
  options: Options & { query?: Query; body?: unknown },
): Promise<T> {
  const headers = new Headers({ accept: 'application/json' });
  const init: RequestInit = { method, credentials: 'same-origin', headers };
  if (options.body instanceof FormData) {
    // The browser says what parts its parts.
    init.body = options.body;
  } else if (options.body !== undefined) {
    headers.set('content-type', 'application/json');
    init.body = JSON.stringify(options.body);
  }
  if (options.ifMatch !== undefined) headers.set('if-match', options.ifMatch);
  if (options.keepalive === true) init.keepalive = true;
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(address(path, options.query ?? {}), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError('offline', 'The server cannot be reached. Check your connection.');
  }
  if (!response.ok) throw await problem(response);
  options.onTag?.(response.headers.get('etag'));
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

export const http = {
  get: <T>(path: string, query: Query = {}, options: Options = {}) =>
    call<T>('GET', path, { query, ...options }),
  post: <T>(path: string, body?: unknown, options: Options = {}) =>
    call<T>('POST', path, { body, ...options }),
  put: <T>(path: string, body: unknown, options: Options = {}) => call<T>('PUT', path, { body, ...options }),
  patch: <T>(path: string, body: unknown) => call<T>('PATCH', path, { body }),
  delete: (path: string, body?: unknown, options: Options = {}) =>
    call<undefined>('DELETE', path, { body, ...options }),
};
