/** The frame of a page that scrolls as a whole: its heading, its title in the tab, and where the focus goes. */
import { useEffect, useRef, type ReactNode } from 'react';
import { Link } from 'wouter';
import { useKeptFocus } from '../lib/focus';
import { Icon } from './icons';

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === '' ? 'aim' : `${title} · aim`;
  }, [title]);
}

/** Whether the person has gone from one page to another since the first load. */
let navigated = false;

/** Moves the focus to a page's heading when one comes from another page, so that a screen reader reads on from there. */
export function useHeadingFocus() {
  const ref = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (navigated) ref.current?.focus({ preventScroll: true });
    navigated = true;
  }, []);
  return ref;
}

export function Page(props: {
  title: string;
  /** Where the arrow before the heading leads. */
  back?: { to: string; label: string };
  actions?: ReactNode;
  width?: 'narrow' | 'wide';
  children: ReactNode;
}) {
  const heading = useHeadingFocus();
  const main = useRef<HTMLElement>(null);
  useKeptFocus(main);
  useTitle(props.title);
  return (
    <main className="page" id="content" ref={main}>
      <div className={`page__inner page__inner--${props.width ?? 'wide'}`}>
        <header className="page__head">
          {props.back && (
            <Link href={props.back.to} className="icon-button page__back" aria-label={props.back.label}>
              <Icon name="back" />
            </Link>
          )}
          <h1 className="page__title" dir="auto" ref={heading} tabIndex={-1}>
            {props.title}
          </h1>
          {props.actions && <div className="page__actions">{props.actions}</div>}
        </header>
        {props.children}
      </div>
    </main>
  );
}
