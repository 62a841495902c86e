/** What stands around every page of the signed-in: a sidebar on a desk, tabs on a phone, and word of a lost connection. */
import { useEffect, type ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { ChatList } from '../pages/chats';
import { useStore } from '../lib/store';
import { Avatar } from '../ui/avatar';
import { Icon, type IconName } from '../ui/icons';
import { ThemeToggle } from '../ui/theme';
import { Toasts } from '../ui/toast';
import { useActivity } from './activity';
import { useWho } from './who';

const PLACES: readonly { to: string; label: string; icon: IconName; matches: (path: string) => boolean }[] = [
  { to: '/', label: 'Chats', icon: 'chats', matches: (path) => path === '/' || path.startsWith('/c/') },
  {
    to: '/characters',
    label: 'Characters',
    icon: 'people',
    matches: (path) => path.startsWith('/characters'),
  },
  { to: '/search', label: 'Search', icon: 'search', matches: (path) => path === '/search' },
  { to: '/settings', label: 'Settings', icon: 'settings', matches: (path) => path === '/settings' },
];

export function Shell({ children }: { children: ReactNode }) {
  const [path] = useLocation();
  const { user } = useWho();
  useSearchKey();
  useNoFilesOpened();
  useActivity();
  return (
    <div className={path.startsWith('/c/') ? 'shell shell--chat' : 'shell'}>
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <aside className="sidebar" aria-label="Navigation and chats">
        <div className="sidebar__head">
          <Brand />
          <ThemeToggle />
        </div>
        <nav className="sidebar__nav" aria-label="Places">
          {PLACES.slice(1).map(({ to, label, icon, matches }) => (
            <Link
              key={to}
              href={to}
              className="sidebar__link"
              aria-current={matches(path) ? 'page' : undefined}
            >
              <Icon name={icon} /> {label}
            </Link>
          ))}
        </nav>
        <h2 className="sidebar__title" id="sidebar-chats">
          Chats
        </h2>
        <nav className="sidebar__list" aria-labelledby="sidebar-chats">
          <ChatList />
        </nav>
        <div className="sidebar__person">
          <Avatar id={user.id} name={user.displayName} url={user.avatarUrl} size="small" />
          <span className="sidebar__name">{user.displayName}</span>
        </div>
      </aside>
      <div className="shell__main">
        <ConnectionBanner />
        {children}
      </div>
      <Toasts />
      <nav className="tabbar" aria-label="Places">
        {PLACES.map(({ to, label, icon, matches }) => (
          <Link key={to} href={to} className="tabbar__link" aria-current={matches(path) ? 'page' : undefined}>
            <Icon name={icon} />
            {label}
          </Link>
        ))}
      </nav>
    </div>
  );
}

/** Ctrl+K or ⌘K leads to the search from everywhere. */
function useSearchKey(): void {
  const [, go] = useLocation();
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        go('/search');
        // Where one is there already, what was looked for is ready to be written over.
        document.querySelector<HTMLInputElement>('.finder input[type="search"]')?.select();
      }
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, [go]);
}

/** A file that is dropped where nothing takes it would be opened in the place of the page, and what is written here be gone. */
function useNoFilesOpened(): void {
  useEffect(() => {
    const refuse = (event: DragEvent) => {
      if (event.defaultPrevented || !event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = 'none';
    };
    // Behind all that take files.
    addEventListener('dragover', refuse);
    addEventListener('drop', refuse);
    return () => {
      removeEventListener('dragover', refuse);
      removeEventListener('drop', refuse);
    };
  }, []);
}

export function Brand() {
  return (
    <Link href="/" className="brand">
      <img src="/icon.svg" alt="" width="28" height="28" />
      aim
    </Link>
  );
}

function ConnectionBanner() {
  const state = useStore(useWho().connection.state);
  const words =
    state === 'offline'
      ? 'You are offline. What you write is sent later.'
      : state === 'reconnecting'
        ? 'The connection was lost. Reconnecting…'
        : undefined;
  return (
    <div role="status" aria-live="polite">
      {words !== undefined && <p className="banner banner--offline">{words}</p>}
    </div>
  );
}
