/** Short things to say: notices, empty places, what is loading, and what went wrong with a way to try again. */
import { useState, type ReactNode } from 'react';
import type { ApiError } from '../api/client';
import { waitingTime, withoutTime } from '../lib/limits';
import { useNow } from '../lib/time';
import { Icon, type IconName } from './icons';

export function Notice({
  tone = 'info',
  children,
}: {
  tone?: 'info' | 'warning' | 'error';
  children: ReactNode;
}) {
  return (
    <div className={`notice notice--${tone}`} role={tone === 'error' ? 'alert' : 'status'}>
      <Icon name={tone === 'info' ? 'spark' : 'warning'} />
      <div className="notice__text">{children}</div>
    </div>
  );
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <span className="empty__icon">
        <Icon name={icon} />
      </span>
      <h2 className="empty__title">{title}</h2>
      {children}
    </div>
  );
}

/** A failed read, with the time to wait where the server named one. */
export function Failure({ error, onRetry }: { error: ApiError; onRetry?: (() => void) | undefined }) {
  return (
    <div className="empty" role="alert">
      <span className="empty__icon">
        <Icon name="warning" />
      </span>
      <h2 className="empty__title">{error.code === 'not_found' ? 'Not found' : 'That did not work'}</h2>
      <p className="empty__text">{withoutTime(error.message)}</p>
      {error.retryAfter !== undefined && <Wait seconds={error.retryAfter} key={error.message} />}
      {onRetry && error.code !== 'not_found' && (
        <button type="button" className="button" onClick={onRetry}>
          <Icon name="retry" /> Try again
        </button>
      )}
    </div>
  );
}

/** A form's failure that belongs to no single field. */
export function FormError({ error }: { error: ApiError | undefined }) {
  if (error === undefined) return null;
  return (
    <Notice tone="error">
      {error.errors.length > 0 ? 'Please look at the marked fields.' : withoutTime(error.message)}
      {error.retryAfter !== undefined && <Wait seconds={error.retryAfter} key={error.retryAfter} />}
    </Notice>
  );
}

function Wait({ seconds }: { seconds: number }) {
  const [until] = useState(() => Date.now() + seconds * 1000);
  const now = useNow(1_000);
  return (
    <span className="wait">
      {' '}
      {now < until ? `Try again in ${waitingTime(until - now)}.` : 'You can try again now.'}
    </span>
  );
}

export function Loading({ label = 'Loading' }: { label?: string }) {
  return (
    <div className="loading" role="status">
      <span className="loading__dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span className="sr-only">{label}</span>
    </div>
  );
}
