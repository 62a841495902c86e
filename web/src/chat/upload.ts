/**
 * A picture or a voice message on its way to the server, ahead of the message that shows it. `XMLHttpRequest`, since
 * `fetch` does not tell how much of a body is sent.
 */
import { ApiError, http } from '../api/client';
import type { Answer, Problem, Upload } from '../api/types';
import type { Connection } from '../live/connection';

const LARGEST_PICTURE = 25 * 1024 * 1024;
const LARGEST_AUDIO = 50 * 1024 * 1024;
/** While an upload is processed, in case the socket does not tell. */
const LOOK_EVERY = 15_000;

/** What the server takes; it looks at the content, this only spares a person the wait. */
export const ACCEPTED =
  'image/png,image/jpeg,image/webp,image/gif,audio/webm,audio/ogg,audio/mp4,audio/mpeg,audio/wav,.m4a,.mp3,.ogg,.wav,.webm';

/** Why a file need not be sent at all. */
export function unfit(file: File): string | undefined {
  const isAudio = file.type.startsWith('audio/') || file.type === 'video/webm';
  if (!isAudio && !file.type.startsWith('image/') && file.type !== '')
    return 'Only pictures and audio can be attached.';
  if (file.size === 0) return 'The file is empty.';
  const largest = isAudio ? LARGEST_AUDIO : LARGEST_PICTURE;
  if (file.size > largest)
    return `The file is too large: ${isAudio ? 'audio' : 'a picture'} may have ${largest / 1024 / 1024} MB.`;
  return undefined;
}

/** Sends a file; `onProgress` hears 0 to 1. Rejects with an `ApiError`, or an `AbortError` when it was given up. */
export function sendFile(
  file: File,
  onProgress: (part: number) => void,
  signal: AbortSignal,
): Promise<Upload> {
  return new Promise((done, fail) => {
    const call = new XMLHttpRequest();
    const offline = () =>
      fail(new ApiError('offline', 'The server cannot be reached. Check your connection.'));
    const giveUp = () => {
      call.abort();
      fail(new DOMException('given up', 'AbortError'));
    };
    call.open('POST', '/api/uploads');
    call.responseType = 'json';
    call.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    call.onerror = offline;
    call.ontimeout = offline;
    call.onload = () => {
      signal.removeEventListener('abort', giveUp);
      const answer = (call.response ?? {}) as Partial<Answer<'Upload'> & Problem>;
      if (call.status === 201 && answer.upload) {
        done(answer.upload);
        return;
      }
      const seconds = Number.parseInt(call.getResponseHeader('retry-after') ?? '', 10);
      const detail = answer.detail ?? `The server answered ${call.status}.`;
      const retryAfter = Number.isNaN(seconds) ? undefined : seconds;
      fail(new ApiError(answer.code ?? 'unavailable', detail, { status: call.status, retryAfter }));
    };
    signal.addEventListener('abort', giveUp, { once: true });
    const form = new FormData();
    form.append('file', file);
    call.send(form);
  });
}

/** The upload once it is processed, well or not: as the socket tells, or the server when the socket was away. */
export async function settled(connection: Connection, upload: Upload, signal: AbortSignal): Promise<Upload> {
  if (upload.status !== 'processing') return upload;
  return new Promise((done, fail) => {
    const end = (how: () => void) => {
      stop();
      clearInterval(timer);
      how();
    };
    const take = (now: Upload) => {
      if (now.id === upload.id && now.status !== 'processing') end(() => done(now));
    };
    const stop = connection.onEvent((event) => {
      if (event.name === 'upload:updated') take(event.payload.upload);
    });
    const look = () => {
      http.get<Answer<'Upload'>>(`/api/uploads/${upload.id}`).then(
        ({ upload: now }) => take(now),
        () => undefined,
      );
    };
    const timer = setInterval(look, LOOK_EVERY);
    // It may be done by now.
    look();
    signal.addEventListener('abort', () => end(() => fail(new DOMException('given up', 'AbortError'))), {
      once: true,
    });
  });
}
