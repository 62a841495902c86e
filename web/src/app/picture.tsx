/** A picture of one's own for a form: chosen, sent at once, shown, and taken away. */
import { useEffect, useId, useRef, useState } from 'react';
import { asApiError, http } from '../api/client';
import type { Upload } from '../api/types';
import type { Sent } from '../chat/parts';
import { sendFile, sendingWords, settled, unfit } from '../chat/upload';
import { Avatar } from '../ui/avatar';
import { Icon } from '../ui/icons';
import { useWho } from './who';

const PICTURES = 'image/png,image/jpeg,image/webp,image/gif';

/** What can be shown of an address that somebody types: a path of this server, or one of the web. */
export const shownPicture = (url: string): string | undefined =>
  /^(https:\/\/[^/]+\.|\/[^/])/.test(url) ? url : undefined;

export function PictureField(props: {
  /** Of whom; its initials stand where there is no picture. */
  name: string;
  /** Where the picture is, or nothing. */
  url: string;
  error: string | undefined;
  onChange: (url: string) => void;
}) {
  const { connection } = useWho();
  const id = useId();
  const picker = useRef<HTMLInputElement>(null);
  const under = useRef<AbortController>(undefined);
  const [sent, setSent] = useState<Sent>();
  const [trouble, setTrouble] = useState<string>();
  useEffect(() => () => under.current?.abort(), []);

  const take = async (file: File) => {
    under.current?.abort();
    const control = new AbortController();
    under.current = control;
    const wrong = file.type.startsWith('image/') ? unfit(file) : 'Only a picture will do.';
    setTrouble(wrong);
    if (wrong !== undefined) return;
    setSent({ part: 0, waiting: false });
    let upload: Upload | undefined;
    try {
      upload = await sendFile(file, setSent, control.signal);
      const ready = await settled(connection, upload, control.signal);
      if (control.signal.aborted) return;
      if (ready.status === 'failed') setTrouble(ready.error ?? 'This picture cannot be used.');
      else props.onChange(`/media/${ready.id}/thumb`);
    } catch (reason) {
      if (!control.signal.aborted) setTrouble(asApiError(reason).message);
      // Nothing shows it.
      else if (upload !== undefined) http.delete(`/api/uploads/${upload.id}`).catch(() => undefined);
    } finally {
      if (!control.signal.aborted) setSent(undefined);
    }
  };

  const cancel = () => {
    under.current?.abort();
    setSent(undefined);
  };

  const error = trouble ?? props.error;
  const isBusy = sent !== undefined;
  return (
    <div
      className={error ? 'picture-field field--wrong' : 'picture-field'}
      role="group"
      aria-labelledby={`${id}-label`}
    >
      <span className="field__label" id={`${id}-label`}>
        Picture
      </span>
      <div className="picture-field__row">
        <Avatar id={props.name} name={props.name || '?'} url={shownPicture(props.url)} size="large" />
        <input
          ref={picker}
          type="file"
          hidden
          accept={PICTURES}
          data-picture
          onChange={(event) => {
            const file = event.target.files?.[0];
            if (file !== undefined) void take(file);
            event.target.value = '';
          }}
        />
        <div className="picture-field__actions">
          <button
            type="button"
            className="button"
            disabled={isBusy}
            aria-describedby={error ? `${id}-error` : undefined}
            onClick={() => picker.current?.click()}
          >
            {isBusy
              ? sent.part < 1 || sent.waiting
                ? sendingWords(sent)
                : 'Being processed…'
              : props.url
                ? 'Choose another'
                : 'Choose a picture'}
          </button>
          {isBusy && (
            <button
              type="button"
              className="icon-button"
              aria-label="Cancel the picture"
              title="Cancel"
              onClick={cancel}
            >
              <Icon name="close" />
            </button>
          )}
          {props.url !== '' && !isBusy && (
            <button
              type="button"
              className="icon-button"
              aria-label="Take the picture away"
              onClick={() => {
                setTrouble(undefined);
                props.onChange('');
              }}
            >
              <Icon name="trash" />
            </button>
          )}
        </div>
      </div>
      {error && (
        <p className="field__error" id={`${id}-error`} role="alert">
          {error}
        </p>
      )}
    </div>
  );
}
