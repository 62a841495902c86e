/** Where links in mails lead, and how one asks for them: a forgotten password, confirming an address, fewer notices. */
import { useState, type SyntheticEvent } from 'react';
import { Link, useSearchParams } from 'wouter';
import { http } from '../api/client';
import type { Answer } from '../api/types';
import { useAction, useLoad } from '../lib/load';
import { fieldError, TextField } from '../ui/field';
import { Failure, FormError, Loading, Notice } from '../ui/notice';
import { Door } from './door';

/** From the link; empty where it was cut off. */
function useToken(): string {
  return useSearchParams()[0].get('token') ?? '';
}

function Home() {
  return (
    <p className="door__other">
      <Link href="/">Open aim</Link>
    </p>
  );
}

export function ForgotPage() {
  const [login, setLogin] = useState('');
  const [sent, setSent] = useState(false);
  const { busy, error, run } = useAction();
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    setSent(
      await run(() => http.post('/api/auth/password/forgot', { login: login.trim() }, { quiet: true })),
    );
  };
  return (
    <Door title="Forgot your password?" lead="We send a link to your address. It works for an hour.">
      {sent ? (
        <Notice>
          If there is an account of that name, a mail is on its way to its address. Look into your spam folder
          too.
        </Notice>
      ) : (
        <form className="form" onSubmit={(event) => void submit(event)}>
          <FormError error={error} />
          <TextField
            label="Email or username"
            value={login}
            onChange={(event) => setLogin(event.target.value)}
            error={fieldError(error, 'login')}
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
          />
          <button type="submit" className="button button--primary button--wide" disabled={busy}>
            {busy ? 'Sending…' : 'Send the link'}
          </button>
        </form>
      )}
      <p className="door__other">
        You know it again? <Link href="/login">Log in</Link>
      </p>
    </Door>
  );
}

export function ResetPage() {
  const token = useToken();
  const [password, setPassword] = useState('');
  const [done, setDone] = useState(false);
  const { busy, error, run } = useAction();
  const spent = fieldError(error, 'token');
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    setDone(await run(() => http.post('/api/auth/password/reset', { token, password }, { quiet: true })));
  };
  return (
    <Door title="Choose a new password" lead="Every device is signed out when it is set.">
      {done ? (
        <>
          <Notice>Your new password is set.</Notice>
          {/* A full load: a session that was open here has ended. */}
          <a className="button button--primary button--wide" href="/login">
            Log in
          </a>
        </>
      ) : spent !== undefined ? (
        <>
          <Notice tone="error">This link was used already, or its time is over.</Notice>
          <p className="door__other">
            <Link href="/forgot">Ask for a new link</Link>
          </p>
        </>
      ) : (
        <form className="form" onSubmit={(event) => void submit(event)}>
          <FormError error={error} />
          <TextField
            label="New password"
            hint="At least 8 characters"
            type="password"
            minLength={8}
            value={password}
            onChange={(event) => setPassword(event.target.value)}
            error={fieldError(error, 'password')}
            autoComplete="new-password"
            required
          />
          <button type="submit" className="button button--primary button--wide" disabled={busy}>
            {busy ? 'Setting…' : 'Set password'}
          </button>
        </form>
      )}
    </Door>
  );
}

/** A press confirms, not the opening: programs that look through mails open links. */
export function ConfirmPage() {
  const token = useToken();
  const [done, setDone] = useState(false);
  const { busy, error, run } = useAction();
  const confirm = async () => {
    setDone(await run(() => http.post('/api/auth/email/confirm', { token }, { quiet: true })));
  };
  return (
    <Door title="Confirm your address" lead="It is where a link goes if you ever forget your password.">
      {done ? (
        <Notice>Thank you: your address is confirmed.</Notice>
      ) : error !== undefined && fieldError(error, 'token') !== undefined ? (
        <Notice tone="error">
          This link was used already, or its time is over. Your settings can send a new one.
        </Notice>
      ) : (
        <>
          <FormError error={error} />
          <button
            type="button"
            className="button button--primary button--wide"
            disabled={busy}
            onClick={() => void confirm()}
          >
            {busy ? 'Confirming…' : 'Confirm'}
          </button>
        </>
      )}
      <Home />
    </Door>
  );
}

const NOTICES: Readonly<Record<string, string>> = {
  'reply-waiting': 'that a reply waits for you',
  usage: 'that your messages of the day are used up',
};

/** The link was the click: there is nothing else to press. */
export function UnsubscribePage() {
  const token = useToken();
  const [notice, setNotice] = useState<string>();
  const { error, again } = useLoad(token, async (signal) => {
    const path = `/api/mail/unsubscribe?token=${encodeURIComponent(token)}`;
    setNotice((await http.post<Answer<'Unsubscribed'>>(path, undefined, { quiet: true, signal })).notice);
  });
  return (
    <Door title="Fewer mails" lead="You choose in your settings what you are told by mail.">
      {error !== undefined ? (
        fieldError(error, 'token') !== undefined ? (
          <Notice tone="error">This link does not work any more. Your settings do.</Notice>
        ) : (
          <Failure error={error} onRetry={again} />
        )
      ) : notice === undefined ? (
        <Loading />
      ) : (
        <Notice>We no longer write to you {NOTICES[notice] ?? 'about this'}.</Notice>
      )}
      <Home />
    </Door>
  );
}
