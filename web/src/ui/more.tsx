/** The way to the next page of a list. */
import { useAction } from '../lib/load';
import { FormError } from './notice';

/** `cursor` is the list's `nextCursor`: nothing is shown without one. */
export function More({
  cursor,
  read,
}: {
  cursor: string | null | undefined;
  read: (cursor: string) => Promise<void>;
}) {
  const { busy, error, run } = useAction();
  return (
    <>
      <FormError error={error} />
      {cursor && (
        <button type="button" className="button" disabled={busy} onClick={() => void run(() => read(cursor))}>
          {busy ? 'Loading…' : 'More'}
        </button>
      )}
    </>
  );
}
