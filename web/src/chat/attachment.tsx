/** What is attached to the message one writes: chosen, pasted, dropped or recorded; sent to the server at once. */
import { useEffect, useRef, useState } from 'react';
import { asApiError, http } from '../api/client';
import type { Upload } from '../api/types';
import { Icon } from '../ui/icons';
import type { Chat } from './chat';
import type { Sent } from './parts';
import { sendFile, sendingWords, unfit } from './upload';

export interface Attached {
  name: string;
  /** Of the file itself, to show it before the server does. */
  preview: string | undefined;
  isAudio: boolean;
  sent: Sent;
  /** Once the server has it. */
  upload: Upload | undefined;
  error: string | undefined;
}

/** One attachment at a time; a new one takes the place of the one before. */
export function useAttachment(chat: Chat) {
  const [attached, setAttached] = useState<Attached>();
  const current = useRef<AbortController>(undefined);

  const forget = () => {
    current.current?.abort();
    current.current = undefined;
    setAttached((before) => {
      if (before?.preview !== undefined) URL.revokeObjectURL(before.preview);
      return undefined;
    });
  };
  useEffect(() => () => current.current?.abort(), []);

  const attach = async (file: File) => {
    forget();
    const control = new AbortController();
    current.current = control;
    const isAudio = !file.type.startsWith('image/');
    const preview = isAudio ? undefined : URL.createObjectURL(file);
    const begun = { name: file.name, preview, isAudio, sent: { part: 0, waiting: false }, upload: undefined };
    const change = (next: Partial<Attached>) => {
      if (!control.signal.aborted) setAttached((before) => before && { ...before, ...next });
    };
    const error = unfit(file);
    setAttached({ ...begun, error });
    if (error !== undefined) return;
    try {
      const upload = await sendFile(file, (sent) => change({ sent }), control.signal);
      change({ upload });
      const ready = await chat.settled(upload, control.signal);
      change({
        upload: ready,
        error: ready.status === 'failed' ? (ready.error ?? 'It cannot be used.') : undefined,
      });
    } catch (reason) {
      change({ error: asApiError(reason).message });
    }
  };

  /** Takes it away, and from the server too, which has not been told of a message with it. */
  const remove = () => {
    const id = attached?.upload?.id;
    forget();
    if (id !== undefined) http.delete(`/api/uploads/${id}`).catch(() => undefined);
  };
  return { attached, attach, remove, forget };
}

function stateWords(attached: Attached): string {
  if (attached.error !== undefined) return attached.error;
  if (attached.upload === undefined) return sendingWords(attached.sent);
  return attached.upload.status === 'ready' ? 'Ready to send' : 'Being processed…';
}

export function AttachmentChip({ attached, onRemove }: { attached: Attached; onRemove: () => void }) {
  const isBad = attached.error !== undefined;
  return (
    <div className={isBad ? 'attachment attachment--bad' : 'attachment'}>
      {attached.preview === undefined ? (
        <span className="attachment__sign">
          <Icon name={attached.isAudio ? 'microphone' : 'attach'} />
        </span>
      ) : (
        <img className="attachment__preview" src={attached.preview} alt="" />
      )}
      <span className="attachment__about">
        <span className="attachment__name">{attached.name}</span>
        <span className="attachment__state" role={isBad ? 'alert' : 'status'}>
          {stateWords(attached)}
        </span>
        {!isBad && attached.upload === undefined && (
          <progress max={1} value={attached.sent.part} aria-label={`Sending ${attached.name}`} />
        )}
      </span>
      <button type="button" className="icon-button" aria-label={`Remove ${attached.name}`} onClick={onRemove}>
        <Icon name="close" />
      </button>
    </div>
  );
}

/** Records until it is pressed again; `onRecorded` gets the file. Absent where the browser cannot record. */
export function RecordButton(props: {
  onRecorded: (file: File) => void;
  onTrouble: (words: string) => void;
}) {
  const [recorder, setRecorder] = useState<MediaRecorder>();
  useEffect(() => () => recorder?.stream.getTracks().forEach((track) => track.stop()), [recorder]);
  if (typeof MediaRecorder === 'undefined' || !('mediaDevices' in navigator)) return null;

  const begin = async () => {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      const pieces: Blob[] = [];
      const next = new MediaRecorder(stream);
      next.ondataavailable = (event) => pieces.push(event.data);
      next.onstop = () => {
        setRecorder(undefined);
        const type = next.mimeType.split(';')[0] ?? 'audio/webm';
        const name = `Voice message.${type.split('/')[1] ?? 'webm'}`;
        props.onRecorded(new File(pieces, name, { type }));
      };
      next.start();
      setRecorder(next);
    } catch {
      props.onTrouble('The microphone cannot be used. Allow it in the browser, or attach a recording.');
    }
  };
  const isRecording = recorder !== undefined;
  return (
    <button
      type="button"
      className={
        isRecording ? 'icon-button composer__record composer__record--on' : 'icon-button composer__record'
      }
      aria-pressed={isRecording}
      aria-label={isRecording ? 'Stop recording' : 'Record a voice message'}
      title={isRecording ? 'Stop recording' : 'Record a voice message'}
      onClick={() => (isRecording ? recorder.stop() : void begin())}
    >
      <Icon name={isRecording ? 'stop' : 'microphone'} />
    </button>
  );
}
