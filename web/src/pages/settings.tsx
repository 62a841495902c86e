/** One's own things: name, theme, devices, what is used today, and the way out. */
import { useState, type SyntheticEvent } from 'react';
import { Link } from 'wouter';
import { http } from '../api/client';
import type { Answer, Device, List, NoticeChoices, Usage } from '../api/types';
import { conversations, loadConversations, loadUsage, usages } from '../app/library';
import { logOut, updateUser } from '../app/session';
import { useWho } from '../app/who';
import { deviceName } from '../chat/words';
import { BlockedPeople } from '../safety/blocked';
import { useAction, useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { dayName, upcoming } from '../lib/time';
import { undelivered } from '../lib/undelivered';
import { fieldError, TextField } from '../ui/field';
import { Icon } from '../ui/icons';
import { Failure, FormError, Loading } from '../ui/notice';
import { Page } from '../ui/page';
import { ThemeChoice } from '../ui/theme';
import { EmailForm, PasswordForm, YourData } from './account';
import { Personas } from './personas';

export function SettingsPage() {
  return (
    <Page title="Settings" width="narrow">
      <Profile />
      <Personas />
      <section className="group">
        <h2>Appearance</h2>
        <div>
          <ThemeChoice />
        </div>
      </section>
      <Mails />
      <EmailForm />
      <PasswordForm />
      <UsageToday />
      <Devices />
      <BlockedPeople />
      <YourData />
      <Administration />
      <SignOut />
    </Page>
  );
}

function Profile() {
  const { user } = useWho();
  const [name, setName] = useState(user.displayName);
  const [saved, setSaved] = useState(false);
  const { busy, error, run } = useAction();
  const save = async (event: SyntheticEvent) => {
    event.preventDefault();
    setSaved(false);
    const done = await run(async () => {
      const answer = await http.patch<Answer<'User'>>('/api/users/me', { displayName: name.trim() });
      updateUser(answer.user);
    });
    setSaved(done);
  };
  return (
    <section className="group">
      <h2>Profile</h2>
      <dl className="facts">
        <dt>Username</dt>
        <dd>{user.username}</dd>
        <dt>Email</dt>
        <dd>{user.email}</dd>
        <dt>Plan</dt>
        <dd>{user.tier === 'premium' ? 'Premium' : 'Free'}</dd>
      </dl>
      <form className="form" onSubmit={(event) => void save(event)}>
        <FormError error={error} />
        <TextField
          label="Display name"
          hint="What characters call you."
          value={name}
          onChange={(event) => {
            setName(event.target.value);
            setSaved(false);
          }}
          error={fieldError(error, 'displayName')}
          autoComplete="name"
          required
        />
        <div className="form__actions">
          <button type="submit" className="button" disabled={busy || name.trim() === user.displayName}>
            {busy ? 'Saving…' : 'Save name'}
          </button>
          <span role="status" className="form__said">
            {saved && 'Saved'}
          </span>
        </div>
      </form>
    </section>
  );
}

/** What is known of the address of the one who is signed in. */
type Address = Pick<Answer<'Me'>['user'], 'emailConfirmed' | 'emailFailure'>;

function Mails() {
  const { user } = useWho();
  const [notices, setNotices] = useState<NoticeChoices>();
  const [address, setAddress] = useState<Address>({ emailConfirmed: true });
  const [sent, setSent] = useState(false);
  const { error, again } = useLoad(`mails ${user.email}`, async () => {
    const [chosen, me] = await Promise.all([
      http.get<NoticeChoices>('/api/mail/notices'),
      http.get<Answer<'Me'>>('/api/auth/me'),
    ]);
    setNotices(chosen);
    setAddress(me.user);
    setSent(false);
  });
  const saving = useAction();
  const sending = useAction();
  const choose = async (choice: Partial<NoticeChoices>) => {
    if (notices === undefined) return;
    const next = { ...notices, ...choice };
    setNotices(next);
    if (!(await saving.run(() => http.put<NoticeChoices>('/api/mail/notices', next)))) setNotices(notices);
  };
  const resend = async () => {
    const isSent = await sending.run(() => http.post('/api/auth/email/resend'));
    setSent(isSent);
    if (isSent) setAddress({ ...address, emailFailure: null });
  };
  return (
    <section className="group">
      <h2>Mails</h2>
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : notices === undefined ? (
        <Loading />
      ) : (
        <>
          {!address.emailConfirmed && address.emailFailure && (
            <p role="status">{undelivered(address.emailFailure.reason)}</p>
          )}
          {!address.emailConfirmed && (
            <div className="form__actions">
              <span>{user.email} is not confirmed yet.</span>
              <button
                type="button"
                className="button"
                disabled={sending.busy || sent}
                onClick={() => void resend()}
              >
                {sent ? 'A link is on its way' : 'Send the link again'}
              </button>
            </div>
          )}
          <FormError error={sending.error} />
          <label className="choice">
            <input
              type="checkbox"
              checked={notices.replyWaiting}
              disabled={saving.busy}
              onChange={(event) => void choose({ replyWaiting: event.target.checked })}
            />{' '}
            Tell me when a reply waits and I am away
          </label>
          <label className="choice">
            <input
              type="checkbox"
              checked={notices.usage}
              disabled={saving.busy}
              onChange={(event) => void choose({ usage: event.target.checked })}
            />{' '}
            Tell me when my messages of the day are used up
          </label>
          <FormError error={saving.error} />
        </>
      )}
    </section>
  );
}

function UsageToday() {
  const { user } = useWho();
  const all = useStore(usages);
  const { items, nextCursor } = useStore(conversations);
  const { pending, error, again } = useLoad('usage', loadUsage);
  useLoad(nextCursor === undefined ? 'conversations' : undefined, loadConversations);
  const names = new Map(items.map((item) => [item.characterId, item.character.name]));
  const used = Object.entries(all).filter(([, usage]) => usage.text.used > 0);
  return (
    <section className="group">
      <h2>Messages used today</h2>
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : pending && used.length === 0 ? (
        <Loading />
      ) : used.length === 0 ? (
        <p>
          None yet.{' '}
          {user.tier === 'free' &&
            'Each character has an allowance of its own, for 24 hours from your first message.'}
        </p>
      ) : (
        <ul className="rows">
          {used.map(([id, usage]) => (
            <UsageRow key={id} name={names.get(id) ?? id} usage={usage} />
          ))}
        </ul>
      )}
    </section>
  );
}

function UsageRow({ name, usage }: { name: string; usage: Usage }) {
  const { used, limit } = usage.text;
  return (
    <li className="row">
      <div className="row__words">
        {name}
        <small>
          {limit == null ? `${used} sent, without a limit` : `${used} of ${limit}`}
          {usage.resetsAt && limit != null && `, until ${upcoming(usage.resetsAt)}`}
        </small>
        {limit != null && (
          <progress className="meter" value={used} max={limit} aria-label={`Messages to ${name}`} />
        )}
      </div>
    </li>
  );
}

function Devices() {
  const [devices, setDevices] = useState<Device[]>();
  const { error, again } = useLoad('devices', async () => {
    setDevices((await http.get<List<'Device'>>('/api/auth/sessions')).items);
  });
  const revoke = useAction();
  const signOut = (id: string) =>
    revoke.run(async () => {
      await http.delete(`/api/auth/sessions/${id}`);
      setDevices((now) => now?.filter((device) => device.id !== id));
    });
  return (
    <section className="group">
      <h2>Devices</h2>
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : devices === undefined ? (
        <Loading />
      ) : (
        <ul className="rows">
          {devices.map((device) => (
            <li className="row" key={device.id}>
              <Icon name="device" />
              <div className="row__words">
                {deviceName(device.device)}
                <small>
                  {device.current ? 'This device' : `Last used ${dayName(device.lastUsedAt).toLowerCase()}`}
                </small>
              </div>
              {!device.current && (
                <button
                  type="button"
                  className="button"
                  aria-label={`Sign out ${deviceName(device.device)}`}
                  disabled={revoke.busy}
                  onClick={() => void signOut(device.id)}
                >
                  Sign out
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      <FormError error={revoke.error} />
    </section>
  );
}

function Administration() {
  if (useWho().user.role !== 'admin') return null;
  return (
    <section className="group">
      <h2>Administration</h2>
      <p>
        <Link href="/admin">Reports of people, the audit, and the queues</Link>
      </p>
    </section>
  );
}

function SignOut() {
  const { busy, error, run } = useAction();
  return (
    <section>
      <FormError error={error} />
      <button type="button" className="button" disabled={busy} onClick={() => void run(logOut)}>
        <Icon name="leave" /> Log out
      </button>
    </section>
  );
}
