/**
 * A picture or a voice message on its way to the server, ahead of the message that shows it: a small one in one call, a
 * larger one so that it goes on after a cut.
 */
import { http } from '../api/client';
import type { Answer, Upload } from '../api/types';
import type { Connection } from '../live/connection';
import { exchange, givenUp, refusal } from './exchange';
import { sendInParts, type Sent } from './parts';

const LARGEST_PICTURE = 25 * 1024 * 1024;
const LARGEST_AUDIO = 50 * 1024 * 1024;
/** Up to so many bytes a file goes in one call: sent again it costs less than asking where it stands. */
const WHOLE = 1024 * 1024;
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

/** How far a file is, in words. */
export function sendingWords({ part, waiting }: Sent): string {
  const percent = `${Math.round(part * 100)} %`;
  return waiting ? `Waiting for the network, ${percent} sent` : `Sending, ${percent}`;
}

/** Sends a file; `tell` hears how far it is. Rejects with an `ApiError`, or an `AbortError` when it was given up. */
export async function sendFile(file: File, tell: (sent: Sent) => void, signal: AbortSignal): Promise<Upload> {
  if (file.size > WHOLE) return sendInParts(file, tell, signal);
  const form = new FormData();
  form.append('file', file);
  const answer = await exchange({
    method: 'POST',
    path: '/api/uploads',
    body: form,
    onSent: (sent, of) => tell({ part: sent / of, waiting: false }),
    signal,
  });
  const { upload } = answer.body as { upload?: Upload };
  if (answer.status !== 201 || upload === undefined) throw refusal(answer);
  return upload;
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
    signal.addEventListener('abort', () => end(() => fail(givenUp())), {
      once: true,
    });
  });
}
