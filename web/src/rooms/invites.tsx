/** Links into a conversation, for its owner: making one, copying it, withdrawing it. */
import { useRef, useState, type SyntheticEvent } from 'react';
import type { Invite, NewInvite } from '../api/types';
import { createInvite, listInvites, revokeInvite } from '../app/rooms';
import { useAction, useLoad } from '../lib/load';
import { fullTime, upcoming } from '../lib/time';
import { FormError, Notice } from '../ui/notice';

const HOUR = 3_600;
const DAY = 24 * HOUR;
const TIMES: readonly (readonly [number, string])[] = [
  [HOUR, 'An hour'],
  [DAY, 'A day'],
  [7 * DAY, '7 days'],
  [30 * DAY, '30 days'],
];
const USES: readonly (readonly [number, string])[] = [
  [0, 'Anybody who has it'],
  [1, 'One person'],
  [5, '5 people'],
  [10, '10 people'],
];

export function Invites({ conversation, people }: { conversation: string; people: number | undefined }) {
  const [expiresIn, setExpiresIn] = useState(7 * DAY);
  const [maxUses, setMaxUses] = useState(0);
  const [made, setMade] = useState<NewInvite>();
  const [items, setItems] = useState<readonly Invite[]>();
  const making = useAction();
  const revoking = useAction();
  // Read again when somebody comes: a link was used, maybe for the last time.
  const key = people === undefined ? undefined : `invites ${conversation} ${people}`;
  const { error } = useLoad(key, async () => setItems(await listInvites(conversation)));

  const make = async (event: SyntheticEvent) => {
    event.preventDefault();
    await making.run(async () => {
      const form = maxUses === 0 ? { expiresIn } : { expiresIn, maxUses };
      const { url: _, token, ...invite } = await createInvite(conversation, form);
      // The page knows best what people reach it by.
      setMade({ ...invite, token, url: `${location.origin}/invite/${token}` });
      setItems((known) => [invite, ...(known ?? [])]);
    });
  };
  const revoke = async (id: string) => {
    await revoking.run(async () => {
      await revokeInvite(conversation, id);
      setItems((known) => known?.filter((one) => one.id !== id));
      setMade((known) => (known?.id === id ? undefined : known));
    });
  };

  return (
    <section className="invites" aria-labelledby="invites-title">
      <h3 id="invites-title">Invite by a link</h3>
      {made === undefined ? (
        <form className="invites__form" onSubmit={(event) => void make(event)}>
          <FormError error={making.error} />
          <label className="invites__choice">
            <span>It works for</span>
            <select
              className="input"
              value={expiresIn}
              onChange={(event) => setExpiresIn(Number(event.target.value))}
            >
              {TIMES.map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </label>
          <label className="invites__choice">
            <span>It lets in</span>
            <select
              className="input"
              value={maxUses}
              onChange={(event) => setMaxUses(Number(event.target.value))}
            >
              {USES.map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </label>
          <button type="submit" className="button button--primary" disabled={making.busy}>
            {making.busy ? 'Making…' : 'Make a link'}
          </button>
        </form>
      ) : (
        <Made invite={made} onDone={() => setMade(undefined)} />
      )}
      {(error ?? revoking.error) && <Notice tone="error">{(error ?? revoking.error)?.message}</Notice>}
      {items !== undefined && items.length > 0 && (
        <ul className="people" aria-label="Links that are open">
          {items.map((one) => (
            <li key={one.id} className="people__one">
              <span className="people__names">
                <span className="people__name">{usesWords(one)}</span>
                <time className="people__more" dateTime={one.expiresAt} title={fullTime(one.expiresAt)}>
                  until {upcoming(one.expiresAt)}
                </time>
              </span>
              <button
                type="button"
                className="link-button people__act"
                aria-label={`Withdraw the link, ${usesWords(one)}`}
                disabled={revoking.busy}
                onClick={() => void revoke(one.id)}
              >
                Withdraw
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function usesWords({ uses, maxUses }: Invite): string {
  if (maxUses != null) return `Used by ${uses} of ${maxUses}`;
  return uses === 0 ? 'Not used yet' : `Used by ${uses} ${uses === 1 ? 'person' : 'people'}`;
}

/** The link is shown this once: the server keeps it as a hash. */
function Made({ invite, onDone }: { invite: NewInvite; onDone: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  const [copied, setCopied] = useState<boolean>();
  const copy = async () => {
    field.current?.select();
    try {
      await navigator.clipboard.writeText(invite.url);
      setCopied(true);
    } catch {
      // Pages without TLS may not: the link is selected.
      setCopied(false);
    }
  };
  return (
    <div className="invites__made">
      <label className="invites__choice">
        <span>Whoever has this link may come in. It is shown this once.</span>
        <input
          ref={field}
          className="input"
          readOnly
          value={invite.url}
          onFocus={(event) => event.target.select()}
        />
      </label>
      <div className="dialog__actions">
        <span role="status">
          {copied === true ? 'Copied.' : copied === false ? 'Selected: copy it with your keyboard.' : ''}
        </span>
        <button type="button" className="button" onClick={onDone}>
          Another link
        </button>
        <button type="button" className="button button--primary" onClick={() => void copy()}>
          Copy
        </button>
      </div>
    </div>
  );
}
