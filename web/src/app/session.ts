/** Who is signed in here, and the connection that belongs to it. */
import { ApiError, beginVisit, http, onSignedOut } from '../api/client';
import type { Answer, RegisterForm, User } from '../api/types';
import { forgetChats } from '../chat/chats';
import { createStore } from '../lib/store';
import { enterPerson, forgetPerson } from '../lib/storage';
import { LiveConnection } from '../live/connection';
import { forgetForms } from './form-draft';
import { clearLibrary, takeUsage } from './library';
import { forgetPersonas } from './personas';
import { followPreferences, forgetPreferences, loadPreferences } from './preferences';
import { clearRooms, followRooms } from './rooms';
import { forgetBlocks } from '../safety/safety';
import { clearToasts } from '../lib/toasts';

export type Session =
  | { status: 'loading' }
  | { status: 'unreachable'; error: ApiError }
  | { status: 'out'; notice?: string }
  | { status: 'in'; user: User; connection: LiveConnection };

export const session = createStore<Session>({ status: 'loading' });

/** What the server says of itself; undefined until it has. */
export const serverConfig = createStore<Answer<'Server'> | undefined>(undefined);

/** Finds out who is signed in. */
export async function openSession(): Promise<void> {
  session.set({ status: 'loading' });
  void loadConfig();
  try {
    enter((await http.get<Answer<'User'>>('/api/auth/me', {}, { quiet: true })).user);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) session.set({ status: 'out' });
    else if (error instanceof ApiError) session.set({ status: 'unreachable', error });
    else throw error;
  }
}

async function loadConfig(): Promise<void> {
  try {
    serverConfig.set(await http.get<Answer<'Server'>>('/api/config', {}, { quiet: true }));
  } catch {
    // The page works without; it only cannot say which model answers.
  }
}

export async function register(form: RegisterForm): Promise<void> {
  enter((await http.post<Answer<'SignedIn'>>('/api/auth/register', form, { quiet: true })).user);
}

/** `restore` has an account back that was deleted and is not erased yet. */
export async function logIn(login: string, password: string, restore = false): Promise<void> {
  const form = { login, password, restore };
  enter((await http.post<Answer<'SignedIn'>>('/api/auth/login', form, { quiet: true })).user);
}

/** The account is closed, and nobody is signed in to it. */
export function accountDeleted(): void {
  forgetPerson();
  leave('Your account is deleted. For seven days you can have it back by logging in.');
}

export async function logOut(): Promise<void> {
  try {
    await http.post('/api/auth/logout', undefined, { quiet: true });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) throw error;
  }
  forgetPerson();
  leave();
}

export function updateUser(user: User): void {
  const now = session.get();
  if (now.status === 'in') session.set({ ...now, user });
}

function enter(user: User): void {
  enterPerson(user.id);
  forgetAll();
  // The page works without them; hearts wait until they are there.
  void loadPreferences().catch(() => undefined);
  const connection = new LiveConnection(() => void recheck());
  connection.onEvent((event) => {
    if (event.name === 'usage:updated') takeUsage(event.payload.characterId, event.payload);
  });
  followRooms(connection);
  followPreferences(connection);
  session.set({ status: 'in', user, connection });
}

function leave(notice?: string): void {
  forgetAll();
  session.set(notice === undefined ? { status: 'out' } : { status: 'out', notice });
}

/** What was read, and what is still under way, is of somebody who is no longer here. */
function forgetAll(): void {
  beginVisit();
  forgetChats();
  closeConnection();
  clearToasts();
  clearLibrary();
  clearRooms();
  forgetPreferences();
  forgetPersonas();
  forgetBlocks();
  forgetForms();
}

function closeConnection(): void {
  const now = session.get();
  if (now.status === 'in') now.connection.close();
}

/** The socket was refused. A call that is answered 401 signs this page out; anything else leaves it as it is. */
async function recheck(): Promise<void> {
  try {
    await http.get('/api/auth/me');
  } catch {
    // Out of reach for now: the socket keeps trying.
  }
}

onSignedOut(() => {
  if (session.get().status === 'in') leave('You were signed out. Log in to go on where you were.');
});
