/** Characters from cards: chosen, pasted or dropped anywhere on the page, looked at, and only then saved. */
import { useEffect, useEffectEvent, useRef, useState } from 'react';
import { Icon } from '../../ui/icons';
import { ACCEPTED, cardOfText, isTyping } from './files';
import { Several } from './several';
import { Preview } from './one';

export function ImportCard({ onImported }: { onImported: () => void }) {
  const [files, setFiles] = useState<readonly File[]>([]);
  const [isOver, setIsOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  /** True when there were files, which then are looked at. */
  const take = (given: Iterable<File> | null | undefined): boolean => {
    const all = [...(given ?? [])];
    if (all.length === 0 || document.querySelector('dialog[open]') !== null) return false;
    setFiles(all);
    return true;
  };
  const onPaste = useEffectEvent((event: ClipboardEvent) => {
    const data = event.clipboardData;
    const text = isTyping(event.target) ? undefined : cardOfText(data?.getData('text/plain') ?? '');
    if (take(data?.files) || take(text && [text])) event.preventDefault();
  });
  const onDrag = useEffectEvent((event: DragEvent) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    setIsOver(true);
  });
  const onDrop = useEffectEvent((event: DragEvent) => {
    setIsOver(false);
    if (take(event.dataTransfer?.files)) event.preventDefault();
  });
  const onLeave = useEffectEvent((event: DragEvent) => {
    if (event.relatedTarget === null) setIsOver(false);
  });
  useEffect(() => {
    const control = new AbortController();
    const { signal } = control;
    document.addEventListener('paste', (event) => onPaste(event), { signal });
    document.addEventListener('dragover', (event) => onDrag(event), { signal });
    document.addEventListener('dragleave', (event) => onLeave(event), { signal });
    document.addEventListener('drop', (event) => onDrop(event), { signal });
    return () => control.abort();
  }, []);

  const [first] = files;
  return (
    <>
      <button
        type="button"
        className="button"
        title="PNG, JSON, CHARX or JPEG. Cards can be dropped or pasted here, too."
        onClick={() => input.current?.click()}
      >
        <Icon name="down" /> Import a card
      </button>
      <input
        ref={input}
        type="file"
        className="sr-only"
        accept={ACCEPTED}
        multiple
        tabIndex={-1}
        aria-hidden="true"
        data-import
        onChange={(event) => {
          take(event.target.files);
          // The same file again is a choice too.
          event.target.value = '';
        }}
      />
      {isOver && (
        <div className="drop-sign" aria-hidden="true">
          Drop cards here
        </div>
      )}
      {files.length === 1 && first !== undefined && <Preview file={first} onClose={() => setFiles([])} />}
      {files.length > 1 && (
        <Several
          files={files}
          onClose={(imported) => {
            setFiles([]);
            if (imported > 0) onImported();
          }}
        />
      )}
    </>
  );
}
