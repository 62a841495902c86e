/** The page's icons: 24 by 24, drawn with one stroke. They say nothing to a screen reader; their button does. */
const PATHS = {
  attach:
    'M19 11.5l-7.2 7.2a4.6 4.6 0 0 1-6.5-6.5l7.6-7.6a3.1 3.1 0 0 1 4.4 4.4l-7.5 7.5a1.5 1.5 0 0 1-2.2-2.1l6.9-6.9',
  back: 'M15 5l-7 7 7 7',
  chats:
    'M4 12c0-4.4 3.6-7.5 8-7.5s8 3.1 8 7.5-3.6 7.5-8 7.5c-1.2 0-2.3-.2-3.3-.6L4.5 20l1.1-3.7C4.6 15.1 4 13.6 4 12Z',
  branch: 'M6.5 4v16M6.5 15c7 0 10.5-2 10.5-9M13 9l4-4 4 4',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  clock: 'M12 7.5V12l3 2M20.5 12a8.5 8.5 0 1 1-17 0 8.5 8.5 0 0 1 17 0Z',
  close: 'M6 6l12 12M18 6L6 18',
  device: 'M4 5.5h16v10.5H4zM9 19.5h6',
  down: 'M12 5v14M6 13l6 6 6-6',
  forward: 'M9 5l7 7-7 7',
  edit: 'M4.5 19.5l1-4L16 5l3 3L8.5 18.5l-4 1Z',
  leave: 'M10 4.5H5.5v15H10M14 8l4 4-4 4M18 12H9.5',
  lock: 'M6.5 11h11v8.5h-11zM9 11V8a3 3 0 0 1 6 0v3',
  microphone: 'M12 14.5a3 3 0 0 0 3-3V6.5a3 3 0 0 0-6 0v5a3 3 0 0 0 3 3ZM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3',
  monitor: 'M3.5 5h17v11.5h-17zM12 16.5V20M8 20h8',
  moon: 'M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10Z',
  more: 'M6 12h.01M12 12h.01M18 12h.01',
  people:
    'M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM3 19.5c.4-3.3 2.8-5.5 6-5.5s5.6 2.2 6 5.5M16 5a3.3 3.3 0 0 1 0 6.3M17.5 14.3c2 .7 3.3 2.6 3.5 5.2',
  picture: 'M4 5h16v14H4zM4 16l4.5-5 4 4 2.5-2.5L20 17M15.5 9.5h.01',
  plus: 'M12 5v14M5 12h14',
  retry: 'M19.5 12a7.5 7.5 0 1 1-2.3-5.4M19.5 4v4h-4',
  search: 'M16 16l4.5 4.5M18 11a7 7 0 1 1-14 0 7 7 0 0 1 14 0Z',
  send: 'M12 19.5V5M5.5 11.5L12 5l6.5 6.5',
  settings:
    'M4 7.5h9M17 7.5h3M4 16.5h3M11 16.5h9M15 9.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM9 18.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  spark: 'M12 4l1.8 5.2L19 11l-5.2 1.8L12 18l-1.8-5.2L5 11l5.2-1.8L12 4Z',
  sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8ZM12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M5.6 18.4l1.1-1.1M17.3 6.7l1.1-1.1',
  trash: 'M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.5 10.5v5.5M13.5 10.5v5.5',
  warning: 'M12 4.5l8.5 15h-17l8.5-15ZM12 10.5v4M12 17h.01',
} as const;

export type IconName = keyof typeof PATHS | 'stop';

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {name === 'stop' ? (
        <rect x="7" y="7" width="10" height="10" rx="2" className="icon__fill" />
      ) : (
        <path d={PATHS[name]} />
      )}
    </svg>
  );
}
