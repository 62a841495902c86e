/** Several cards at once: each is looked at, chosen or left, and saved; what went wrong with one stands with it. */
import { useEffect, useState } from 'react';
import { Link } from 'wouter';
import { asApiError, type ApiError } from '../../api/client';
import type { CardPreview, ImportedCharacter } from '../../api/types';
import { useAction } from '../../lib/load';
import { Dialog } from '../../ui/dialog';
import { Notice } from '../../ui/notice';
import { importCard, previewCard } from './calls';
import { MOST_AT_ONCE } from './files';
import { factsOf, Refused, Warnings } from './look';

interface Row {
  file: File;
  preview?: CardPreview;
  chosen: boolean;
  made?: ImportedCharacter;
  error?: ApiError;
}

const isReady = (row: Row) => row.preview !== undefined && row.chosen && row.made === undefined;

export function Several(props: { files: readonly File[]; onClose: (imported: number) => void }) {
  const { files } = props;
  const [rows, setRows] = useState<readonly Row[]>(() =>
    files.slice(0, MOST_AT_ONCE).map((file) => ({ file, chosen: true })),
  );
  const saving = useAction();
  const change = (at: number, next: Partial<Row>) =>
    setRows((now) => now.map((row, n) => (n === at ? { ...row, ...next } : row)));

  // One after the other: the server reads two at a time for everybody.
  useEffect(() => {
    const control = new AbortController();
    const { signal } = control;
    const lookAtAll = async () => {
      for (const [at, file] of files.slice(0, MOST_AT_ONCE).entries()) {
        try {
          const preview = await previewCard(file, signal);
          if (!signal.aborted) change(at, { preview });
        } catch (reason) {
          if (!signal.aborted) change(at, { error: asApiError(reason) });
        }
        if (signal.aborted) return;
      }
    };
    void lookAtAll();
    return () => control.abort();
  }, [files]);

  const ready = rows.filter(isReady).length;
  const made = rows.filter((row) => row.made !== undefined).length;
  const isReading = rows.some((row) => row.preview === undefined && row.error === undefined);
  const save = () =>
    saving.run(async () => {
      for (const [at, row] of rows.entries()) {
        if (!isReady(row)) continue;
        try {
          change(at, { made: await importCard(row.file) });
        } catch (reason) {
          change(at, { error: asApiError(reason), chosen: false });
        }
      }
    });
  const close = () => props.onClose(made);
  return (
    <Dialog title={`${files.length} cards`} onClose={close}>
      {files.length > MOST_AT_ONCE && (
        <Notice tone="warning">
          So many are taken at once: {MOST_AT_ONCE}. Give the others again after these.
        </Notice>
      )}
      <ul className="import__rows">
        {rows.map((row, n) => (
          <li key={n} className="import__row">
            <RowOf row={row} busy={saving.busy} onChoose={(chosen) => change(n, { chosen })} />
          </li>
        ))}
      </ul>
      <p role="status" className="import__state">
        {isReading ? 'Reading…' : made > 0 ? `${made} imported.` : ''}
      </p>
      <div className="dialog__actions">
        <button type="button" className="button" onClick={close}>
          {made > 0 || ready === 0 ? 'Close' : 'Not now'}
        </button>
        {(ready > 0 || isReading) && (
          <button
            type="button"
            className="button button--primary"
            disabled={saving.busy || isReading || ready === 0}
            onClick={() => void save()}
          >
            {saving.busy ? 'Importing…' : `Import ${ready === 1 ? 'one' : ready}`}
          </button>
        )}
      </div>
    </Dialog>
  );
}

function RowOf({ row, busy, onChoose }: { row: Row; busy: boolean; onChoose: (chosen: boolean) => void }) {
  const { file, preview, made, error } = row;
  const warnings = made?.warnings ?? preview?.warnings ?? [];
  const name = made?.character.name ?? preview?.character.name ?? file.name;
  return (
    <>
      {preview?.picture && <img className="import__thumb" src={preview.picture} alt="" />}
      <div className="import__about">
        {made !== undefined ? (
          <Link href={`/characters/${made.character.id}`}>{name}</Link>
        ) : preview !== undefined && error === undefined ? (
          <label className="check">
            <input
              type="checkbox"
              checked={row.chosen}
              disabled={busy}
              onChange={(event) => onChoose(event.target.checked)}
            />
            {name}
          </label>
        ) : (
          <span className="import__file">{name}</span>
        )}
        {preview !== undefined && <p className="import__facts">{factsOf(preview)}</p>}
        {error !== undefined && <Refused error={error} />}
        {warnings.length > 0 && <Warnings warnings={warnings} />}
      </div>
    </>
  );
}
