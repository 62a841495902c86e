/** Reporting something: why, a note, and thanks. */
import { useEffect, useRef, useState, type SyntheticEvent } from 'react';
import { useAction } from '../lib/load';
import { Dialog } from '../ui/dialog';
import { fieldError, TextArea } from '../ui/field';
import { FormError } from '../ui/notice';
import { REASONS, report, type Reason, type Reportable } from './safety';

const NAMES = {
  character: 'this character',
  message: 'this message',
  reply: 'this reply',
  user: 'this person',
} as const;

export function ReportDialog({ what, onClose }: { what: Reportable; onClose: () => void }) {
  const [reason, setReason] = useState<Reason>();
  const [note, setNote] = useState('');
  const [done, setDone] = useState(false);
  const { busy, error, run } = useAction();
  const send = async (event: SyntheticEvent) => {
    event.preventDefault();
    if (reason !== undefined) setDone(await run(() => report(what, reason, note)));
  };
  if (done) return <Thanks onClose={onClose} />;
  return (
    <Dialog title={`Report ${NAMES[what.kind]}`} onClose={onClose}>
      <form className="form" onSubmit={(event) => void send(event)}>
        <p>The people who run this server see it as it is now. Others do not learn that you reported it.</p>
        <FormError error={error} />
        <fieldset className="choices">
          <legend>What is wrong with it?</legend>
          {REASONS.map(([name, words]) => (
            <label className="choice choice--slim" key={name}>
              <input
                type="radio"
                name="reason"
                value={name}
                checked={reason === name}
                onChange={() => setReason(name)}
                required
              />
              {words}
            </label>
          ))}
        </fieldset>
        <TextArea
          label="What should we know? (optional)"
          value={note}
          onChange={(event) => setNote(event.target.value)}
          error={fieldError(error, 'note')}
          rows={3}
          maxLength={2_000}
        />
        <div className="dialog__actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button button--primary" disabled={busy || reason === undefined}>
            {busy ? 'Sending…' : 'Send report'}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Thanks({ onClose }: { onClose: () => void }) {
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => close.current?.focus(), []);
  return (
    <Dialog title="Thank you" onClose={onClose}>
      <p role="status">Your report is with the people who run this server. They will look at it.</p>
      <div className="dialog__actions">
        <button type="button" className="button button--primary" ref={close} onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
