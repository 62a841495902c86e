/** The account itself: its password and address, its data, and its end. */
import { useState, type SyntheticEvent } from 'react';
import { http } from '../api/client';
import type { Answer } from '../api/types';
import { accountDeleted, updateUser } from '../app/session';
import { useWho } from '../app/who';
import { useAction } from '../lib/load';
import { Confirm } from '../ui/dialog';
import { fieldError, TextField } from '../ui/field';
import { Icon } from '../ui/icons';
import { FormError } from '../ui/notice';

export function PasswordForm() {
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const [saved, setSaved] = useState(false);
  const { busy, error, run } = useAction();
  const save = async (event: SyntheticEvent) => {
    event.preventDefault();
    const done = await run(() => http.post('/api/auth/password', { current, new: next }));
    setSaved(done);
    if (done) {
      setCurrent('');
      setNext('');
    }
  };
  return (
    <section className="group">
      <h2>Password</h2>
      <form className="form" onSubmit={(event) => void save(event)}>
        <FormError error={error} />
        <TextField
          label="Current password"
          type="password"
          value={current}
          onChange={(event) => setCurrent(event.target.value)}
          error={fieldError(error, 'current')}
          autoComplete="current-password"
          required
        />
        <TextField
          label="New password"
          hint="8 characters or more. All other devices are signed out."
          type="password"
          value={next}
          onChange={(event) => {
            setNext(event.target.value);
            setSaved(false);
          }}
          error={fieldError(error, 'new')}
          autoComplete="new-password"
          minLength={8}
          required
        />
        <div className="form__actions">
          <button type="submit" className="button" disabled={busy || current === '' || next === ''}>
            {busy ? 'Saving…' : 'Change password'}
          </button>
          <span role="status" className="form__said">
            {saved && 'Changed'}
          </span>
        </div>
      </form>
    </section>
  );
}

export function EmailForm() {
  const { user } = useWho();
  const [email, setEmail] = useState(user.email);
  const [password, setPassword] = useState('');
  const [saved, setSaved] = useState(false);
  const { busy, error, run } = useAction();
  const save = async (event: SyntheticEvent) => {
    event.preventDefault();
    const done = await run(async () => {
      const answer = await http.post<Answer<'User'>>('/api/auth/email', { email: email.trim(), password });
      updateUser(answer.user);
    });
    setSaved(done);
    if (done) setPassword('');
  };
  return (
    <section className="group">
      <h2>Email address</h2>
      <form className="form" onSubmit={(event) => void save(event)}>
        <FormError error={error} />
        <TextField
          label="Email"
          type="email"
          value={email}
          onChange={(event) => {
            setEmail(event.target.value);
            setSaved(false);
          }}
          error={fieldError(error, 'email')}
          autoComplete="email"
          required
        />
        <TextField
          label="Your password"
          type="password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          error={fieldError(error, 'password')}
          autoComplete="current-password"
          required
        />
        <div className="form__actions">
          <button
            type="submit"
            className="button"
            disabled={busy || password === '' || email.trim() === user.email}
          >
            {busy ? 'Saving…' : 'Change address'}
          </button>
          <span role="status" className="form__said">
            {saved && 'Changed. Look for a mail with a link to confirm it.'}
          </span>
        </div>
      </form>
    </section>
  );
}

export function YourData() {
  const [asking, setAsking] = useState(false);
  const deletion = useAction();
  const remove = () =>
    deletion.run(async () => {
      // The sockets end before the answer is here, by which somebody who was signed out would be told.
      await http.delete('/api/users/me', undefined, { quiet: true });
      accountDeleted();
    });
  return (
    <section className="group">
      <h2>Your data</h2>
      <p>Everything you left here, as one archive: conversations, characters, settings and files.</p>
      <div className="form__actions">
        <a className="button" href="/api/users/me/export" download>
          <Icon name="down" /> Download my data
        </a>
        <button type="button" className="button button--danger" onClick={() => setAsking(true)}>
          <Icon name="trash" /> Delete my account
        </button>
      </div>
      {asking && (
        <Confirm
          title="Delete your account?"
          action="Delete my account"
          busy={deletion.busy}
          onConfirm={() => void remove()}
          onClose={() => setAsking(false)}
        >
          <p>
            You are signed out on all devices at once. For seven days you can have the account back by logging
            in; then your conversations, characters and files are erased for good. Public characters that
            others talk with stay, without your name.
          </p>
          <FormError error={deletion.error} />
        </Confirm>
      )}
    </section>
  );
}
