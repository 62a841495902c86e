/** For operators: accounts, found by what names them, and who is suspended. */
import { useEffect, useState } from 'react';
import { http } from '../api/client';
import type { Account, List } from '../api/types';
import { useWho } from '../app/who';
import { useLoad } from '../lib/load';
import { fullTime } from '../lib/time';
import { DeedDialog, type Deed } from '../safety/deed';
import { Avatar } from '../ui/avatar';
import { Icon } from '../ui/icons';
import { More } from '../ui/more';
import { Empty, Failure, Loading } from '../ui/notice';
import { Page } from '../ui/page';
import { BACK } from './complaints';

/** After the last key: each look is a call, and calls are counted. */
const PAUSE = 300;

export function RosterPage() {
  const [typed, setTyped] = useState('');
  const [q, setQ] = useState('');
  const [suspended, setSuspended] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setQ(typed.trim()), PAUSE);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <Page title="People" back={BACK}>
      <search className="finder">
        <div className="finder__search">
          <Icon name="search" />
          <input
            className="input"
            type="search"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
            aria-label="Username, email or id"
            placeholder="Username, email or id"
            autoComplete="off"
            spellCheck={false}
          />
        </div>
      </search>
      <fieldset className="segments cases__which">
        <legend className="sr-only">Which accounts</legend>
        {[false, true].map((one) => (
          <label key={String(one)} className="segments__one">
            <input
              type="radio"
              name="suspended"
              checked={suspended === one}
              onChange={() => setSuspended(one)}
            />
            <span>{one ? 'Suspended' : 'All'}</span>
          </label>
        ))}
      </fieldset>
      <Accounts q={q} suspended={suspended} key={`${q} ${suspended}`} />
    </Page>
  );
}

function Accounts({ q, suspended }: { q: string; suspended: boolean }) {
  const [list, setList] = useState<List<'Account'>>();
  const read = (cursor?: string) =>
    http.get<List<'Account'>>('/api/admin/users', {
      ...(q !== '' && { q }),
      ...(suspended && { suspended: 'true' }),
      cursor,
      limit: 30,
    });
  const { error, again } = useLoad('first', async () => setList(await read()));
  if (error) return <Failure error={error} onRetry={again} />;
  if (list === undefined) return <Loading />;
  if (list.items.length === 0) {
    return (
      <Empty icon="people" title={suspended ? 'Nobody of them is suspended' : 'Nobody is called that'} />
    );
  }
  const changed = async (id: string) => {
    const { items } = await http.get<List<'Account'>>('/api/admin/users', { q: id });
    const now = items.find((one) => one.id === id);
    setList(
      (before) => before && { ...before, items: before.items.map((one) => (one.id === id && now) || one) },
    );
  };
  return (
    <section className="group" aria-label="Accounts">
      <ul className="rows">
        {list.items.map((account) => (
          <Row account={account} key={account.id} onChange={() => changed(account.id)} />
        ))}
      </ul>
      <More
        cursor={list.nextCursor}
        read={async (cursor) => {
          const next = await read(cursor);
          setList({ ...next, items: [...list.items, ...next.items] });
        }}
      />
    </section>
  );
}

function Row({ account, onChange }: { account: Account; onChange: () => Promise<void> }) {
  const { user } = useWho();
  const [deed, setDeed] = useState<Deed>();
  const { suspension } = account;
  const facts = [
    account.email,
    account.role === 'admin' && 'administrator',
    account.tier === 'premium' && 'premium',
    `since ${fullTime(account.createdAt)}`,
    account.eraseAt && `erased on ${fullTime(account.eraseAt)}`,
  ].filter(Boolean);
  return (
    <li className="row" data-account={account.id}>
      <Avatar id={account.id} name={account.displayName} url={account.avatarUrl} size="small" />
      <div className="row__words">
        <span>
          {account.displayName} <small>@{account.username}</small>
        </span>
        <small>{facts.join(' · ')}</small>
        {suspension && (
          <small className="row__trouble">
            Suspended {suspension.until ? `until ${fullTime(suspension.until)}` : 'until it is undone'}:{' '}
            {suspension.reason}
          </small>
        )}
      </div>
      {account.id !== user.id && (
        <button
          type="button"
          className={suspension ? 'button' : 'button button--danger'}
          aria-label={`${suspension ? 'Let in again' : 'Suspend'}: ${account.displayName}`}
          onClick={() => setDeed(suspension ? 'restore' : 'suspend')}
        >
          {suspension ? 'Let in again' : 'Suspend'}
        </button>
      )}
      {deed && (
        <DeedDialog deed={deed} person={account.id} onDone={onChange} onClose={() => setDeed(undefined)} />
      )}
    </li>
  );
}
