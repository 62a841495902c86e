/** The way in: logging in and registering. */
import { useState, type ReactNode, type SyntheticEvent } from 'react';
import { Link, useSearch, useSearchParams } from 'wouter';
import { logIn, register, serverConfig } from '../app/session';
import { useAction } from '../lib/load';
import { useStore } from '../lib/store';
import { fieldError, TextField } from '../ui/field';
import { FormError, Notice } from '../ui/notice';
import { useTitle } from '../ui/page';

export function Door({ title, lead, children }: { title: string; lead: string; children: ReactNode }) {
  useTitle(title);
  return (
    <main className="door">
      <div className="door__inner">
        <header className="door__head">
          <span className="brand">
            <img src="/icon.svg" alt="" width="28" height="28" />
            aim
          </span>
          <h1>{title}</h1>
          <p>{lead}</p>
        </header>
        {children}
      </div>
    </main>
  );
}

/** To somebody whom a link into a conversation brought here. */
function Invited() {
  const [search] = useSearchParams();
  if (search.get('next')?.startsWith('/invite/') !== true) return null;
  return <Notice>Somebody invites you to a conversation. Log in or create an account to see it.</Notice>;
}

/** Keeps `?next=` while one goes between the two forms. */
function useOther(path: string): string {
  const search = useSearch();
  return search === '' ? path : `${path}?${search}`;
}

export function LoginPage({ notice }: { notice?: string | undefined }) {
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const { busy, error, run } = useAction();
  const other = useOther('/register');
  const isClosed = useStore(serverConfig)?.registration === 'closed';
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    void run(() => logIn(login.trim(), password));
  };
  const restorable = error?.errors.some(({ field }) => field === 'restore') === true;
  return (
    <Door title="Welcome back" lead="Log in to go on with your conversations.">
      {notice !== undefined && <Notice>{notice}</Notice>}
      <Invited />
      <form className="form" onSubmit={submit}>
        {restorable ? (
          <Notice tone="warning">
            <p>{error.message}</p>
            <button
              type="button"
              className="button"
              disabled={busy}
              onClick={() => void run(() => logIn(login.trim(), password, true))}
            >
              Restore my account
            </button>
          </Notice>
        ) : (
          <FormError error={error} />
        )}
        <TextField
          label="Email or username"
          value={login}
          onChange={(event) => setLogin(event.target.value)}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
        />
        <TextField
          label="Password"
          type="password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          autoComplete="current-password"
          required
        />
        <button type="submit" className="button button--primary button--wide" disabled={busy}>
          {busy ? 'Logging in…' : 'Log in'}
        </button>
      </form>
      <p className="door__other">
        <Link href="/forgot">Forgot your password?</Link>
      </p>
      {!isClosed && (
        <p className="door__other">
          New here? <Link href={other}>Create an account</Link>
        </p>
      )}
    </Door>
  );
}

export function RegisterPage() {
  const [form, setForm] = useState({ displayName: '', username: '', email: '', password: '' });
  const { busy, error, run } = useAction();
  const other = useOther('/login');
  const isClosed = useStore(serverConfig)?.registration === 'closed';
  const set = (field: keyof typeof form) => (event: { target: { value: string } }) =>
    setForm({ ...form, [field]: event.target.value });
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const { displayName, ...rest } = form;
    const named = displayName.trim();
    void run(() => register(named === '' ? rest : { ...rest, displayName: named }));
  };
  return (
    <Door
      title="Create your account"
      lead="Meet characters, and pick up every conversation where you left it."
    >
      <Invited />
      {isClosed ? (
        <Notice tone="warning">This server takes no new accounts. Ask the one who runs it.</Notice>
      ) : (
        <form className="form" onSubmit={submit}>
          <FormError error={error} />
          <TextField
            label="Username"
            hint="3 to 30 letters, digits and _"
            value={form.username}
            onChange={set('username')}
            error={fieldError(error, 'username')}
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
          />
          <TextField
            label="What characters call you (optional)"
            value={form.displayName}
            onChange={set('displayName')}
            error={fieldError(error, 'displayName')}
            autoComplete="name"
          />
          <TextField
            label="Email"
            type="email"
            value={form.email}
            onChange={set('email')}
            error={fieldError(error, 'email')}
            autoComplete="email"
            required
          />
          <TextField
            label="Password"
            hint="At least 8 characters"
            type="password"
            minLength={8}
            value={form.password}
            onChange={set('password')}
            error={fieldError(error, 'password')}
            autoComplete="new-password"
            required
          />
          <button type="submit" className="button button--primary button--wide" disabled={busy}>
            {busy ? 'Creating your account…' : 'Create account'}
          </button>
        </form>
      )}
      <p className="door__other">
        You have an account? <Link href={other}>Log in</Link>
      </p>
    </Door>
  );
}
