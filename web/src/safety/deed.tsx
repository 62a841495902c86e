/** What an operator does about a character, a person or a report, with the reason that goes into the audit. */
import { useState, type SyntheticEvent } from 'react';
import { http } from '../api/client';
import { useAction } from '../lib/load';
import { Dialog } from '../ui/dialog';
import { fieldError, TextArea } from '../ui/field';
import { FormError } from '../ui/notice';

export type Deed = 'unlist' | 'list' | 'suspend' | 'restore' | 'close' | 'reopen';

const DEEDS: Readonly<Record<Deed, { title: string; label: string; action: string; needed: boolean }>> = {
  unlist: {
    title: 'Unlist this character?',
    label: 'Reason, which its owner reads',
    action: 'Unlist',
    needed: true,
  },
  list: {
    title: 'Put it back into lists?',
    label: 'Reason, for the audit',
    action: 'Put back',
    needed: true,
  },
  suspend: {
    title: 'Suspend this person?',
    label: 'Reason, which they read',
    action: 'Suspend',
    needed: true,
  },
  restore: {
    title: 'Let this person in again?',
    label: 'Reason, for the audit',
    action: 'Let in',
    needed: true,
  },
  close: { title: 'Close this report?', label: 'What was decided', action: 'Close report', needed: false },
  reopen: { title: 'Open this report again?', label: 'Why', action: 'Open again', needed: false },
};

const LENGTHS = [
  ['1', 'One day'],
  ['7', 'A week'],
  ['30', 'Thirty days'],
  ['', 'Until it is undone'],
] as const;

export function DeedDialog(props: {
  deed: Deed;
  /** Ids of what it is about. */
  character?: string | undefined;
  person?: string | undefined;
  complaint?: string | undefined;
  onDone: () => Promise<unknown>;
  onClose: () => void;
}) {
  const { deed, character, person, complaint, onDone, onClose } = props;
  const { title, label, action, needed } = DEEDS[deed];
  const [reason, setReason] = useState('');
  const [days, setDays] = useState<string>('7');
  const { busy, error, run } = useAction();
  const until = () => (days === '' ? null : new Date(Date.now() + Number(days) * 86_400_000).toISOString());
  const patch = () => {
    switch (deed) {
      case 'unlist':
      case 'list':
        return http.patch(`/api/admin/characters/${character ?? ''}`, {
          unlisted: deed === 'unlist',
          reason,
        });
      case 'suspend':
        return http.patch(`/api/admin/users/${person ?? ''}`, { suspended: true, until: until(), reason });
      case 'restore':
        return http.patch(`/api/admin/users/${person ?? ''}`, { suspended: false, reason });
      case 'close':
      case 'reopen':
        return http.patch(`/api/admin/complaints/${complaint ?? ''}`, {
          state: deed === 'close' ? 'closed' : 'open',
          resolution: reason,
        });
    }
  };
  const act = async () => {
    await patch();
    await onDone();
  };
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    if (await run(act)) onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <FormError error={error} />
        {deed === 'suspend' && (
          <>
            <p>They are signed out everywhere at once, and their public characters leave all lists.</p>
            <fieldset className="choices">
              <legend>For how long?</legend>
              {LENGTHS.map(([value, words]) => (
                <label className="choice choice--slim" key={value}>
                  <input
                    type="radio"
                    name="days"
                    value={value}
                    checked={days === value}
                    onChange={() => setDays(value)}
                  />
                  {words}
                </label>
              ))}
            </fieldset>
          </>
        )}
        <TextArea
          label={label}
          value={reason}
          onChange={(event) => setReason(event.target.value)}
          error={fieldError(error, 'reason') ?? fieldError(error, 'resolution')}
          rows={3}
          maxLength={500}
          required={needed}
        />
        <div className="dialog__actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            className="button button--primary"
            disabled={busy || (needed && reason.trim() === '')}
          >
            {busy ? 'Working…' : action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
