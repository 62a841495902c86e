/** One card: looked at, and only then saved. */
import { useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import { asApiError, type ApiError } from '../../api/client';
import type { CardPreview } from '../../api/types';
import { useAction } from '../../lib/load';
import { Dialog } from '../../ui/dialog';
import { importCard, previewCard } from './calls';
import { Look, Refused, Warnings } from './look';

export function Preview({ file, onClose }: { file: File; onClose: () => void }) {
  const [preview, setPreview] = useState<CardPreview>();
  const [error, setError] = useState<ApiError>();
  const [, go] = useLocation();
  const saving = useAction();
  const [saved, setSaved] = useState<{ id: string; told: readonly string[] }>();

  useEffect(() => {
    const control = new AbortController();
    previewCard(file, control.signal).then(
      (read) => setPreview(read),
      (reason: unknown) => {
        if (!control.signal.aborted) setError(asApiError(reason));
      },
    );
    return () => control.abort();
  }, [file]);

  const save = () =>
    saving.run(async () => {
      const made = await importCard(file);
      // What only saving could tell, of its pictures, is to be read before the way goes on.
      const told = made.warnings.filter((warning) => !preview?.warnings.includes(warning));
      if (told.length > 0) setSaved({ id: made.character.id, told });
      else go(`/characters/${made.character.id}`);
    });

  if (saved !== undefined) {
    const { id, told } = saved;
    return (
      <Dialog
        title={`${preview?.character.name ?? 'The card'} was imported`}
        onClose={() => go(`/characters/${id}`)}
      >
        <Warnings warnings={told} />
        <div className="dialog__actions">
          <button type="button" className="button button--primary" onClick={() => go(`/characters/${id}`)}>
            Go on
          </button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog
      title={error ? 'This cannot be imported' : (preview?.character.name ?? 'Reading the card…')}
      onClose={onClose}
    >
      {error ? (
        <>
          <p className="import__file">{file.name}</p>
          <Refused error={error} />
        </>
      ) : preview === undefined ? (
        <p role="status">{file.name}</p>
      ) : (
        <Look preview={preview} />
      )}
      {saving.error && <Refused error={saving.error} />}
      <div className="dialog__actions">
        <button type="button" className="button" onClick={onClose}>
          {error ? 'Close' : 'Not now'}
        </button>
        {preview !== undefined && (
          <button
            type="button"
            className="button button--primary"
            disabled={saving.busy}
            onClick={() => void save()}
          >
            {saving.busy ? 'Importing…' : 'Import'}
          </button>
        )}
      </div>
    </Dialog>
  );
}
