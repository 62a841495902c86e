/** For operators: what people reported, what became of it, and what was done. */
import { useState } from 'react';
import { Link } from 'wouter';
import { http } from '../api/client';
import type { AuditAction, Case, List } from '../api/types';
import { useLoad } from '../lib/load';
import { fullTime } from '../lib/time';
import { DeedDialog, type Deed } from '../safety/deed';
import { reasonWords } from '../safety/safety';
import { Icon } from '../ui/icons';
import { More } from '../ui/more';
import { Empty, Failure, Loading } from '../ui/notice';
import { Page } from '../ui/page';

const KINDS: Readonly<Record<Case['kind'], string>> = {
  character: 'Character',
  message: 'Message',
  reply: 'Reply',
  user: 'Person',
};

export function AdminPage() {
  return (
    <Page title="Administration" width="narrow">
      <nav className="group" aria-label="For administrators">
        <ul className="rows">
          <Place to="/admin/people" title="People" says="Accounts, and who is suspended" />
          <Place
            to="/admin/complaints"
            title="Reports of people"
            says="What people reported, and what to do about it"
          />
          <Place to="/admin/audit" title="Audit" says="What administrators did, when and why" />
          <li className="row">
            <div className="row__words">
              <a href="/admin/queues">Queues</a>
              <small>Jobs that wait, run and failed</small>
            </div>
          </li>
        </ul>
      </nav>
    </Page>
  );
}

function Place({ to, title, says }: { to: string; title: string; says: string }) {
  return (
    <li className="row">
      <div className="row__words">
        <Link href={to}>{title}</Link>
        <small>{says}</small>
      </div>
    </li>
  );
}

export const BACK = { to: '/admin', label: 'Administration' };

export function ComplaintsPage() {
  const [state, setState] = useState<Case['state']>('open');
  return (
    <Page title="Reports of people" back={BACK}>
      <fieldset className="segments cases__which">
        <legend className="sr-only">Which reports</legend>
        {(['open', 'closed'] as const).map((one) => (
          <label key={one} className="segments__one">
            <input type="radio" name="state" checked={state === one} onChange={() => setState(one)} />
            <span>{one === 'open' ? 'Open' : 'Closed'}</span>
          </label>
        ))}
      </fieldset>
      <Complaints state={state} key={state} />
    </Page>
  );
}

function Complaints({ state }: { state: Case['state'] }) {
  const [list, setList] = useState<List<'Complaint'>>();
  const read = (cursor?: string) =>
    http.get<List<'Complaint'>>('/api/admin/complaints', { state, cursor, limit: 20 });
  const { error, again } = useLoad('first', async () => setList(await read()));
  /** What was done to one may change others: the same character, the same person. */
  const changed = async (one?: Case) => {
    const isLast = list?.items.every(({ id }) => id === one?.id);
    if (one !== undefined && !(isLast && list?.nextCursor)) {
      setList((now) => now && { ...now, items: now.items.filter(({ id }) => id !== one.id) });
    } else {
      setList(await read());
    }
  };
  if (error) return <Failure error={error} onRetry={again} />;
  if (list === undefined) return <Loading />;
  if (list.items.length === 0) {
    return (
      <Empty icon="check" title={state === 'open' ? 'Nothing is reported' : 'No report was closed yet'} />
    );
  }
  return (
    <div className="cases">
      {list.items.map((one) => (
        <Reported complaint={one} key={one.id} onChange={changed} />
      ))}
      <More
        cursor={list.nextCursor}
        read={async (cursor) => {
          const next = await read(cursor);
          setList((now) => now && { ...next, items: [...now.items, ...next.items] });
        }}
      />
    </div>
  );
}

function Reported({ complaint, onChange }: { complaint: Case; onChange: (one?: Case) => Promise<void> }) {
  const [deed, setDeed] = useState<Deed>();
  const { characterId, author, reporter } = complaint;
  return (
    <article className="case" aria-labelledby={`case-${complaint.id}`} data-complaint={complaint.id}>
      <header className="case__head">
        <h2 id={`case-${complaint.id}`}>
          {KINDS[complaint.kind]}: {reasonWords(complaint.reason)}
        </h2>
        <time dateTime={complaint.createdAt}>{fullTime(complaint.createdAt)}</time>
      </header>
      <Shown complaint={complaint} />
      <dl className="case__facts">
        <dt>Written by</dt>
        <dd>
          {author ? `${author.displayName} (@${author.username})` : 'nobody who is here'}
          {complaint.suspended && <strong> · suspended</strong>}
        </dd>
        {characterId && (
          <>
            <dt>Character</dt>
            <dd>
              <Link href={`/characters/${characterId}`}>{characterId}</Link>
              {complaint.unlisted && <strong> · unlisted</strong>}
            </dd>
          </>
        )}
        <dt>Reported by</dt>
        <dd>{reporter ? `${reporter.displayName} (@${reporter.username})` : 'an erased account'}</dd>
        {complaint.note !== '' && (
          <>
            <dt>Note</dt>
            <dd>{complaint.note}</dd>
          </>
        )}
        {complaint.resolution && (
          <>
            <dt>Decided</dt>
            <dd>{complaint.resolution}</dd>
          </>
        )}
      </dl>
      <div className="case__actions">
        {characterId && (
          <button
            type="button"
            className="button"
            onClick={() => setDeed(complaint.unlisted ? 'list' : 'unlist')}
          >
            {complaint.unlisted ? 'Put back into lists' : 'Unlist character'}
          </button>
        )}
        {author && (
          <button
            type="button"
            className="button button--danger"
            onClick={() => setDeed(complaint.suspended ? 'restore' : 'suspend')}
          >
            {complaint.suspended ? 'Let in again' : 'Suspend author'}
          </button>
        )}
        <button
          type="button"
          className="button button--primary"
          onClick={() => setDeed(complaint.state === 'open' ? 'close' : 'reopen')}
        >
          {complaint.state === 'open' ? 'Close report' : 'Open again'}
        </button>
      </div>
      {deed && (
        <DeedDialog
          deed={deed}
          character={characterId ?? undefined}
          person={author?.id}
          complaint={complaint.id}
          onDone={() => onChange(deed === 'close' || deed === 'reopen' ? complaint : undefined)}
          onClose={() => setDeed(undefined)}
        />
      )}
    </article>
  );
}

/** Fields of a character, in the order in which one reads them. */
const PARTS: readonly (readonly [string, string])[] = [
  ['name', 'Name'],
  ['characterName', 'Said by'],
  ['displayName', 'Display name'],
  ['username', 'Username'],
  ['text', ''],
  ['description', 'Description'],
  ['greeting', 'Greeting'],
  ['personality', 'Personality'],
  ['scenario', 'Scenario'],
  ['exampleDialogue', 'Example dialogue'],
  ['systemPrompt', 'System prompt'],
];

/** What was reported, as plain text. */
function Shown({ complaint }: { complaint: Case }) {
  const { imported, revisedAt } = complaint.snapshot;
  const parts = PARTS.flatMap(([field, title]) => {
    const text = complaint.snapshot[field];
    return typeof text === 'string' && text !== '' ? [{ field, title, text }] : [];
  });
  return (
    // Long ones scroll, so the keyboard must reach them.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className="case__shown" tabIndex={0} role="group" aria-label="What was reported, as it was">
      {parts.map(({ field, title, text }) => (
        <div key={field}>
          {title !== '' && <h3>{title}</h3>}
          <p>{text}</p>
        </div>
      ))}
      {imported === true && <p>Taken in from elsewhere: no model of this server said it.</p>}
      {typeof revisedAt === 'string' && <p>Somebody put it in other words on {fullTime(revisedAt)}.</p>}
    </div>
  );
}

const ACTIONS: Readonly<Record<AuditAction, string>> = {
  unlist_character: 'unlisted the character',
  list_character: 'put back the character',
  suspend_user: 'suspended',
  restore_user: 'let in again',
  close_report: 'closed a report',
  reopen_report: 'opened a report again',
};

export function AuditPage() {
  const [list, setList] = useState<List<'Audit'>>();
  const read = (cursor?: string) => http.get<List<'Audit'>>('/api/admin/audit', { cursor });
  const { error, again } = useLoad('first', async () => setList(await read()));
  return (
    <Page title="Audit" back={BACK}>
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : list === undefined ? (
        <Loading />
      ) : list.items.length === 0 ? (
        <Empty icon="check" title="Nothing was done yet" />
      ) : (
        <section className="group">
          <ul className="rows">
            {list.items.map((one) => (
              <li className="row" key={one.id}>
                <Icon name="lock" />
                <div className="row__words">
                  {one.operator ? one.operator.displayName : 'Somebody at a terminal'} {ACTIONS[one.action]}
                  {one.target.kind !== 'report' && ` ${one.target.name ?? one.target.id}`}
                  {one.until && ` until ${fullTime(one.until)}`}
                  <small>
                    {fullTime(one.at)}
                    {one.reason !== '' && `: ${one.reason}`}
                  </small>
                </div>
              </li>
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
      )}
    </Page>
  );
}
