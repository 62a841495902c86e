import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/client';
import { DraftKeeper, PAUSE, type Copy, type DraftPlace, type KeptDraft } from './draft-keeper';

interface Form {
  name: string;
  step: number;
}

const BLANK: Form = { name: '', step: 0 };

/** A server with one draft, and everybody whom it tells. */
class Server {
  kept: KeptDraft | undefined;
  away = false;
  /** Why it does not take a draft. */
  refusal: ApiError | undefined;
  saves = 0;
  removals = 0;
  #clock = 0;
  readonly #pages: DraftKeeper<Form>[] = [];

  /** `tab` is what the page's tab has at hand. */
  page(name: string, tab: { copy?: Copy<Form> | undefined } = {}): DraftKeeper<Form> {
    const check = () => {
      if (this.away) throw new ApiError('offline', 'away');
    };
    const place: DraftPlace = {
      read: async () => {
        await Promise.resolve();
        check();
        return this.kept;
      },
      save: async (data) => {
        await Promise.resolve();
        check();
        if (this.refusal !== undefined) throw this.refusal;
        this.saves += 1;
        this.#clock += 1;
        this.kept = { data, savedAt: `t${this.#clock}` };
        this.#tell();
        return this.kept;
      },
      remove: async () => {
        await Promise.resolve();
        check();
        this.removals += 1;
        this.kept = undefined;
        this.#tell();
      },
    };
    const keeper = new DraftKeeper<Form>(place, BLANK, name, {
      read: () => tab.copy,
      write: (copy) => (tab.copy = copy),
    });
    this.#pages.push(keeper);
    return keeper;
  }

  #tell() {
    // Before the one who saved has the answer, as over a socket.
    for (const page of this.#pages) void page.heard(this.kept?.savedAt ?? null);
  }
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe('a draft', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is saved after a pause, and goes on where it was left', async () => {
    const server = new Server();
    const page = server.page('desk');
    await page.open();
    expect(page.store.get()).toMatchObject({ start: BLANK, restored: false, elsewhere: undefined });
    page.keep({ name: 'M', step: 0 });
    await vi.advanceTimersByTimeAsync(PAUSE - 1);
    page.keep({ name: 'Mara', step: 3 });
    await vi.advanceTimersByTimeAsync(PAUSE);
    expect(server.saves).toBe(1);
    const reloaded = server.page('desk, later');
    await reloaded.open();
    expect(reloaded.store.get()).toMatchObject({ start: { name: 'Mara', step: 3 }, restored: true });
    expect(page.store.get().elsewhere).toBeUndefined();
  });

  it('of two devices the last save wins, and the other is told what the server has', async () => {
    const server = new Server();
    const [desk, phone] = [server.page('desk'), server.page('phone')];
    await Promise.all([desk.open(), phone.open()]);
    desk.keep({ name: 'Desk', step: 1 });
    await desk.flush();
    await settle();
    expect(phone.store.get().elsewhere).toEqual({ savedAt: 't1', value: { name: 'Desk', step: 1 } });
    expect(desk.store.get().elsewhere).toBeUndefined();
    phone.keep({ name: 'Phone', step: 2 });
    await phone.flush();
    await settle();
    expect(phone.store.get().elsewhere).toBeUndefined();
    expect(desk.store.get().elsewhere).toEqual({ savedAt: 't2', value: { name: 'Phone', step: 2 } });
    const fresh = server.page('fresh');
    await fresh.open();
    expect(fresh.store.get().start).toEqual({ name: 'Phone', step: 2 });
  });

  it('tells by an event what a look tells, whatever was missed', async () => {
    const server = new Server();
    const phone = server.page('phone');
    await phone.open();
    // Somebody saves without telling: the phone was asleep.
    server.kept = { data: { name: 'Desk', savedBy: 'desk' }, savedAt: 't9' };
    await phone.look();
    const looked = phone.store.get().elsewhere;
    expect(looked).toEqual({ savedAt: 't9', value: { name: 'Desk', step: 0 } });
    await phone.heard('t9');
    expect(phone.store.get().elsewhere).toBe(looked);
    phone.dismiss();
    await phone.look();
    expect(phone.store.get().elsewhere, 'it was told once').toBeUndefined();
  });

  it('that was finished elsewhere is told as gone', async () => {
    const server = new Server();
    const [desk, phone] = [server.page('desk'), server.page('phone')];
    await desk.open();
    desk.keep({ name: 'Desk', step: 5 });
    await desk.flush();
    await phone.open();
    await desk.drop();
    await settle();
    expect(phone.store.get().elsewhere).toEqual({ savedAt: null });
    expect(desk.store.get().elsewhere).toBeUndefined();
  });

  it('is no trouble while the server is away, and saved whole with the next change', async () => {
    const server = new Server();
    server.away = true;
    const page = server.page('desk');
    await page.open();
    expect(page.store.get().start).toEqual(BLANK);
    page.keep({ name: 'Lost', step: 1 });
    await page.flush();
    server.away = false;
    page.keep({ name: 'Kept', step: 2 });
    await page.flush();
    expect(server.kept?.data).toMatchObject({ name: 'Kept', step: 2 });
  });

  it('says what is too large to be kept, until it fits again or is done', async () => {
    const server = new Server();
    const page = server.page('desk');
    await page.open();
    server.refusal = new ApiError('payload_too_large', 'This may have 65536 bytes of JSON at most.');
    for (const isDone of [false, true]) {
      page.keep({ name: 'Large', step: 1 });
      await page.flush();
      expect(page.store.get().trouble).toContain('over 64 KB');
      if (isDone) {
        await page.drop();
        expect(page.store.get().trouble).toBeUndefined();
      } else {
        server.refusal = undefined;
        page.keep({ name: 'Short', step: 1 });
        await page.flush();
        expect(server.kept?.data).toMatchObject({ name: 'Short' });
        expect(page.store.get().trouble).toBeUndefined();
        server.refusal = new ApiError('payload_too_large', 'This may have 65536 bytes of JSON at most.');
      }
    }
  });

  it('that is left before it could be kept begins so when one comes back, and is kept once it can be', async () => {
    const server = new Server();
    const page = server.page('desk');
    await page.open();
    server.refusal = new ApiError('payload_too_large', 'This may have 65536 bytes of JSON at most.');
    const large = { name: 'Large', step: 1 };
    page.keep(large);
    await page.flush();
    await page.leave();
    expect(page.isKept).toBe(false);
    await page.open();
    expect(page.store.get()).toMatchObject({ start: large, restored: true, elsewhere: undefined });
    expect(page.store.get().trouble).toContain('over 64 KB');
    server.refusal = undefined;
    await vi.advanceTimersByTimeAsync(PAUSE);
    expect(page.isKept).toBe(true);
    expect(server.kept?.data).toMatchObject(large);
  });

  it('that is left is not told to be kept before it is, and what another device made of it is told', async () => {
    const server = new Server();
    const page = server.page('desk');
    await page.open();
    page.keep({ name: 'Desk', step: 1 });
    server.away = true;
    await page.leave();
    expect(page.isKept).toBe(false);
    server.away = false;
    server.kept = { data: { name: 'Phone', savedBy: 'phone' }, savedAt: 't9' };
    await page.open();
    expect(page.store.get()).toMatchObject({
      start: { name: 'Desk', step: 1 },
      elsewhere: { savedAt: 't9', value: { name: 'Phone', step: 0 } },
    });
    await vi.advanceTimersByTimeAsync(10 * PAUSE);
    await page.leave();
    await page.open();
    expect(server.kept.data).toMatchObject({ name: 'Phone' });
    page.keep({ name: 'Desk again', step: 1 });
    await vi.advanceTimersByTimeAsync(PAUSE);
    expect(server.kept.data).toMatchObject({ name: 'Desk again' });
  });

  it('that is done leaves nothing to come back to', async () => {
    const server = new Server();
    const page = server.page('desk');
    await page.open();
    server.away = true;
    page.keep({ name: 'Desk', step: 1 });
    await page.flush();
    expect(page.isKept).toBe(false);
    await page.drop();
    await page.leave();
    expect(page.isKept).toBe(true);
    expect(page.store.get().start).toEqual(BLANK);
  });

  it('that was never kept is not removed, as far as that can be told', async () => {
    const server = new Server();
    const page = server.page('desk');
    await page.open();
    page.keep({ name: 'Desk', step: 1 });
    await page.drop();
    expect(server.removals).toBe(0);
    page.keep({ name: 'Desk', step: 1 });
    void page.flush();
    await page.drop();
    expect([server.removals, server.kept]).toEqual([1, undefined]);
  });
});

describe('what was typed last before the page was closed', () => {
  beforeEach(() => void vi.useFakeTimers({ now: Date.parse('2026-11-30T12:00:00.000Z') }));
  afterEach(() => void vi.useRealTimers());
  const typed = { name: 'Mara', step: 2 };

  /** A tab with a form that was typed into and closed before anything was sent. */
  async function closed(server: Server) {
    const tab: { copy?: Copy<Form> } = {};
    const page = server.page('before', tab);
    await page.open();
    page.keep({ name: 'M', step: 0 });
    await page.flush();
    server.away = true;
    page.keep(typed);
    return { tab, page };
  }

  it('is there again at once, and then kept', async () => {
    const server = new Server();
    const { tab } = await closed(server);
    const offline = server.page('after', tab);
    await offline.open();
    expect(offline.store.get()).toMatchObject({ start: typed, restored: true, elsewhere: undefined });
    server.away = false;
    const page = server.page('after', tab);
    await page.open();
    expect(page.store.get()).toMatchObject({ start: typed, restored: true, elsewhere: undefined });
    await vi.advanceTimersByTimeAsync(PAUSE);
    expect(server.kept?.data).toMatchObject(typed);
    expect(tab.copy).toBeUndefined();
  });

  it('is no news from elsewhere when it comes to the server after all', async () => {
    const server = new Server();
    const { tab, page: before } = await closed(server);
    server.away = false;
    const page = server.page('after', tab);
    await page.open();
    await before.flush();
    await settle();
    expect(page.store.get().elsewhere).toBeUndefined();
    await page.look();
    expect(page.store.get().elsewhere).toBeUndefined();
  });

  it('gives way to what another device saved later, and is told of what it saved before', async () => {
    for (const [savedAt, shown] of [
      ['2026-11-30T13:00:00.000Z', 'Phone'],
      ['2026-11-30T11:00:00.000Z', 'Mara'],
    ] as const) {
      const server = new Server();
      const { tab } = await closed(server);
      server.away = false;
      server.kept = { data: { name: 'Phone', step: 4, savedBy: 'phone' }, savedAt };
      const page = server.page('after', tab);
      await page.open();
      expect(page.store.get().start?.name).toBe(shown);
      const elsewhere = shown === 'Mara' ? { savedAt, value: { name: 'Phone', step: 4 } } : undefined;
      expect(page.store.get().elsewhere).toEqual(elsewhere);
    }
  });
});
