/**
 * One open conversation: drives `state.ts` with the API and the socket. It reads the newest page, joins, joins again
 * when the connection was lost or something is missing, and sends one's own messages one at a time, in order, each
 * with the same `clientId` until the server has it.
 */
import { ApiError, asApiError, http } from '../api/client';
import type { Answer, List, Message, Upload } from '../api/types';
import { freshId } from '../lib/id';
import { createStore, type Store } from '../lib/store';
import type { Connection } from '../live/connection';
import type { EventError } from '../live/events';
import { editOf, NO_EDITS, recallEdits, rememberEdits, variantOf, type Edit, type Edits } from './edits';
import { emptyChat, reduceChat, resumeSeq, type ChatAction, type ChatState, type Unsent } from './state';
import { recallUnsent, rememberUnsent } from './unsent';
import { settled } from './upload';

const PAGE = 50;
/** Pauses before joining again, in milliseconds; the last one repeats. */
const JOIN_PAUSES = [0, 250, 1_000, 2_500, 5_000];
/** A join that holds this long starts the pauses over. */
const STEADY_AFTER = 10_000;
/** How often others are told that this person goes on typing; they forget it when the connection is lost. */
const TYPING_EVERY = 4_000;
const TYPING_ENDS_AFTER = 5_000;
/** Pages that are read to reach a message that was searched for. */
const JUMP_PAGES = 40;

export interface OpenChat {
  state: ChatState;
  /** Why the conversation cannot be shown. */
  error: ApiError | undefined;
  loadingEarlier: boolean;
  /** The editors that are open. */
  edits: Edits;
}

export class Chat {
  readonly store: Store<OpenChat>;
  readonly id: string;
  readonly #connection: Connection;
  readonly #stops: (() => void)[] = [];
  #closed = true;
  /** What to do once nothing waits any more, where nobody looks at it now. */
  #onEnd: (() => void) | undefined;
  #tellLost: ((edit: Edit) => void) | undefined;
  #sending = false;
  #joins = 0;
  #lastJoin = 0;
  #joinTimer: ReturnType<typeof setTimeout> | undefined;
  #typingSince: number | undefined;
  #typingTimer: ReturnType<typeof setTimeout> | undefined;
  /** The page of earlier messages that is under way. */
  #earlier: Promise<void> | undefined;

  /** `removals`: as it was known before anything is read. */
  constructor(
    conversationId: string,
    characterId: string,
    userId: string,
    connection: Connection,
    removals?: number,
  ) {
    this.id = conversationId;
    this.#connection = connection;
    const state = emptyChat(conversationId, characterId, userId, removals);
    this.store = createStore<OpenChat>({ state, error: undefined, loadingEarlier: false, edits: NO_EDITS });
  }

  open(): void {
    this.#onEnd = undefined;
    if (!this.#closed) {
      if (this.store.get().error !== undefined) void this.load();
      return;
    }
    this.#closed = false;
    this.#stops.push(this.#connection.onEvent((event) => this.#do({ type: 'event', event })));
    this.#stops.push(
      this.#connection.state.subscribe(() => {
        if (this.#connection.state.get() !== 'connected') this.#do({ type: 'disconnected' });
        else if (this.#isOutOfReach()) void this.load();
        else this.#join();
      }),
    );
    void this.load();
  }

  /** One looks elsewhere: what waits is sent all the same, and then this ends. */
  leave(onEnd: () => void): void {
    this.setTyping(false);
    this.#onEnd = onEnd;
    this.#endOnceSent();
  }

  close(): void {
    this.setTyping(false);
    this.#closed = true;
    clearTimeout(this.#joinTimer);
    for (const stop of this.#stops.splice(0)) stop();
    if (this.#connection.state.get() === 'connected') {
      this.#connection.ask('conversation:leave', { conversationId: this.id }).catch(() => undefined);
    }
  }

  /** The newest page, then the room. Called again when it failed, by a person or once the connection is back. */
  async load(): Promise<void> {
    this.#patch({ error: undefined });
    try {
      const page = await this.#page();
      const kept = recallUnsent(this.id);
      const type = this.store.get().state.needsReload ? 'anew' : 'history';
      this.#do({ type, messages: page.items, hasMore: page.hasMore });
      this.#do({ type: 'restored', unsent: kept });
      this.#patch({ edits: { ...recallEdits(this.id), ...this.store.get().edits } });
      this.#giveBack();
      this.#join();
    } catch (error) {
      this.#patch({ error: asApiError(error) });
    }
  }

  /** The page before what is here. Whoever asks while one is under way waits for that one. */
  loadEarlier(): Promise<void> {
    this.#earlier ??= this.#readEarlier().finally(() => (this.#earlier = undefined));
    return this.#earlier;
  }

  /**
   * Older pages, until this message is among them; so many at the most, for each is a call. None more once `signal` says
   * that one no longer goes there.
   */
  async loadUntil(seq: number, signal?: AbortSignal): Promise<void> {
    for (let pages = 0; pages < JUMP_PAGES && signal?.aborted !== true; pages += 1) {
      const { state } = this.store.get();
      if (!state.hasEarlier || (state.messages[0]?.seq ?? 0) <= seq) return;
      // One that was asked for by scrolling may fail, and is no reason not to go.
      await (this.#earlier?.catch(() => undefined) ?? this.loadEarlier());
    }
  }

  send(text: string, upload?: Upload): void {
    const createdAt = new Date().toISOString();
    const unsent: Unsent = { clientId: freshId(), text, createdAt, status: 'waiting' };
    if (upload !== undefined) unsent.upload = { id: upload.id, kind: upload.kind };
    this.#do({ type: 'typed', unsent });
    this.setTyping(false);
    void this.#flush();
  }

  /** The upload once it is processed, well or not: as the socket tells, or the server when the socket was away. */
  async settled(upload: Upload, signal: AbortSignal): Promise<Upload> {
    return settled(this.#connection, upload, signal);
  }

  /** Sends a refused message again, as the same message. */
  async resend(clientId: string): Promise<void> {
    await this.#deliver(clientId);
    void this.#flush();
  }

  discard(clientId: string): void {
    this.#do({ type: 'discarded', clientId });
  }

  /** Stops the reply under way. */
  async stop(): Promise<void> {
    const answer = await this.#connection.ask('message:cancel', { conversationId: this.id });
    if (!answer.ok) throw refusal(answer.error);
  }

  /** Asks once more for the reply to a message whose reply failed or was stopped. */
  async retryReply(messageId: string): Promise<void> {
    // The message itself comes by the socket, in its place among the events of the reply.
    await http.post(`/api/conversations/${this.id}/messages/${messageId}/retry`);
  }

  /** Asks for another variant of the last reply; it streams in its place. */
  async regenerate(reply: string): Promise<void> {
    await http.post(`/api/conversations/${this.id}/messages/${reply}/regenerate`);
  }

  /** Asks the character to go on with its last reply. */
  async continueReply(reply: string): Promise<void> {
    await http.post(`/api/conversations/${this.id}/messages/${reply}/continue`);
  }

  /** Shows another variant of the last reply, counted from 0. */
  async choose(reply: string, selected: number): Promise<void> {
    await http.put(`/api/conversations/${this.id}/messages/${reply}/variant`, { selected });
  }

  /** Who is told what was typed into an editor whose message is gone; answers how to be told no more. */
  onLost(tell: (edit: Edit) => void): () => void {
    this.#tellLost = tell;
    return () => (this.#tellLost = undefined);
  }

  /** Opens the editor of a message. */
  beginEdit(message: Message): void {
    this.#takeEdits({ ...this.store.get().edits, [message.id]: editOf(message) });
  }

  typeEdit(message: string, text: string): void {
    const { edits } = this.store.get();
    const edit = edits[message];
    if (edit !== undefined) this.#takeEdits({ ...edits, [message]: { ...edit, text } });
  }

  endEdit(message: string): void {
    const { [message]: _, ...edits } = this.store.get().edits;
    this.#takeEdits(edits);
  }

  /**
   * Saves what was typed in the place of what the message says as far as it was shown, and of a reply in the variant that it was
   * made of. What changed in this moment, or says something else in that variant, is refused, and shown by its event.
   */
  async saveEdit(message: Message, { text, of }: Edit): Promise<void> {
    const isShown = of.variant === variantOf(message);
    if (!isShown) await this.choose(message.id, of.variant);
    const was = isShown ? message.text : of.text;
    await http.patch(`/api/conversations/${this.id}/messages/${message.id}`, { text, was });
    this.endEdit(message.id);
  }

  /** Removes one's last message with its reply; the socket tells when it is gone. */
  async removeExchange(message: string): Promise<void> {
    await http.delete(`/api/conversations/${this.id}/messages/${message}`);
  }

  /** A conversation of one's own that goes on from here; its id. */
  async branch(messageId: string): Promise<string> {
    const { conversation } = await http.post<Answer<'Conversation'>>(`/api/conversations/${this.id}/branch`, {
      messageId,
    });
    return conversation.id;
  }

  /** Tells the others that this person types; ends by itself when nothing more is typed. */
  setTyping(typing: boolean): void {
    clearTimeout(this.#typingTimer);
    const now = Date.now();
    if (typing) {
      if (this.#typingSince === undefined || now - this.#typingSince > TYPING_EVERY) {
        this.#typingSince = now;
        this.#connection.tell('typing', { conversationId: this.id, typing });
      }
      this.#typingTimer = setTimeout(() => this.setTyping(false), TYPING_ENDS_AFTER);
    } else if (this.#typingSince !== undefined) {
      this.#typingSince = undefined;
      this.#connection.tell('typing', { conversationId: this.id, typing });
    }
  }

  async #readEarlier(): Promise<void> {
    const { state } = this.store.get();
    const first = state.messages[0];
    if (!state.hasEarlier || first === undefined) return;
    this.#patch({ loadingEarlier: true });
    try {
      const page = await this.#page(first.seq);
      // Where all was read anew meanwhile, it would leave a gap.
      if (this.store.get().state.messages[0]?.id !== first.id) return;
      this.#do({ type: 'history', messages: page.items, hasMore: page.hasMore });
    } finally {
      this.#patch({ loadingEarlier: false });
    }
  }

  #page(before?: number): Promise<List<'Message'>> {
    return http.get(`/api/conversations/${this.id}/messages`, { before, limit: PAGE });
  }

  /** What was here counts no more: the newest page takes its place. */
  async #reload(): Promise<void> {
    try {
      const page = await this.#page();
      this.#do({ type: 'anew', messages: page.items, hasMore: page.hasMore });
      this.#join();
    } catch (error) {
      this.#patch({ error: asApiError(error) });
    }
  }

  /** Joins now, or after a pause when joins follow each other closely. */
  #join(): void {
    const now = Date.now();
    if (now - this.#lastJoin > STEADY_AFTER) this.#joins = 0;
    const pause = JOIN_PAUSES[Math.min(this.#joins, JOIN_PAUSES.length - 1)] ?? 0;
    clearTimeout(this.#joinTimer);
    if (pause === 0) void this.#joinNow();
    else this.#joinTimer = setTimeout(() => void this.#joinNow(), pause);
  }

  async #joinNow(): Promise<void> {
    const { state } = this.store.get();
    if (this.#closed || !state.loaded || state.joining || this.#connection.state.get() !== 'connected')
      return;
    this.#joins += 1;
    this.#lastJoin = Date.now();
    this.#do({ type: 'joining' });
    try {
      const answer = await this.#connection.ask('conversation:join', {
        conversationId: this.id,
        afterSeq: resumeSeq(state),
      });
      if (answer.ok) {
        this.#do({ type: 'joined', answer });
        void this.#flush();
      } else if (answer.error.code === 'not_found' || answer.error.code === 'forbidden') {
        this.#patch({ error: refusal(answer.error) });
      } else {
        this.#do({ type: 'join failed' });
      }
    } catch {
      if (this.#connection.state.get() === 'connected') this.#do({ type: 'join failed' });
    }
  }

  /** Sends what waits, in the order in which it was written. */
  async #flush(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let next = this.#nextUnsent(); next !== undefined; next = this.#nextUnsent()) {
        await this.#deliver(next.clientId);
      }
    } finally {
      this.#sending = false;
    }
  }

  /** A message that was on its way when the connection was lost is sent again: the server knows it by its `clientId`. */
  #nextUnsent(): Unsent | undefined {
    const { state } = this.store.get();
    if (this.#closed || !state.joined) return undefined;
    return state.unsent.find(({ status }) => status !== 'refused');
  }

  async #deliver(clientId: string): Promise<void> {
    const { state } = this.store.get();
    const unsent = state.unsent.find((one) => one.clientId === clientId);
    if (unsent === undefined) return;
    this.#do({ type: 'sending', clientId });
    if (!state.joined) return;
    try {
      const { text, upload } = unsent;
      const answer = await this.#connection.ask('message:send', {
        conversationId: this.id,
        clientId,
        type: upload?.kind ?? 'text',
        text,
        ...(upload === undefined ? {} : { uploadId: upload.id }),
      });
      if (answer.ok) this.#do({ type: 'sent', message: answer.message, usage: answer.usage });
      else this.#refuse(clientId, answer.error);
    } catch {
      // When the connection is gone, the message is sent again after the next join.
      if (this.#connection.state.get() === 'connected') {
        const error: EventError = { code: 'unavailable', detail: 'The server did not confirm this message.' };
        this.#refuse(clientId, error);
      }
    }
  }

  #refuse(clientId: string, error: EventError): void {
    const action = { type: 'refused', clientId, error } as const;
    const { retryAfter } = error;
    this.#do(retryAfter === undefined ? action : { ...action, retryAt: Date.now() + retryAfter * 1000 });
  }

  #do(action: ChatAction): void {
    if (this.#closed) return;
    const before = this.store.get().state;
    const state = reduceChat(before, action);
    if (state === before) return;
    this.#patch({ state });
    if (state.unsent !== before.unsent) rememberUnsent(this.id, state.unsent);
    if (state.messages !== before.messages) this.#giveBack();
    this.#endOnceSent();
    if (state.needsReload) {
      if (!before.needsReload) void this.#reload();
    } else if (state.needsSync && !state.joining) this.#join();
  }

  #patch(change: Partial<OpenChat>): void {
    this.store.set({ ...this.store.get(), ...change });
    if (change.error !== undefined) this.#endOnceSent();
  }

  #takeEdits(edits: Edits): void {
    this.#patch({ edits });
    rememberEdits(this.id, edits);
  }

  /** Closes the editors of messages that are gone. While nobody is there to be told they are kept. */
  #giveBack(): void {
    const { state, edits } = this.store.get();
    const tell = this.#tellLost;
    const lost = Object.entries(edits).filter(([id]) => !state.messages.some((message) => message.id === id));
    if (tell === undefined || lost.length === 0) return;
    for (const [id, edit] of lost) {
      this.endEdit(id);
      if (edit.text !== edit.of.text && edit.text.trim() !== '') tell(edit);
    }
  }

  #isOutOfReach(): boolean {
    const { error } = this.store.get();
    return error?.code === 'offline' || error?.code === 'unavailable';
  }

  #endOnceSent(): void {
    const { state, error } = this.store.get();
    if (this.#onEnd === undefined) return;
    // What cannot be read will not take what waits.
    const waits = state.unsent.some(({ status }) => status !== 'refused');
    if (waits && (error === undefined || this.#isOutOfReach())) return;
    if (!this.#closed) this.close();
    this.#onEnd();
    this.#onEnd = undefined;
  }
}

function refusal(error: EventError): ApiError {
  return new ApiError(error.code, error.detail, { retryAfter: error.retryAfter });
}
