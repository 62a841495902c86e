// One thing breaks while more than 200 messages are under way, and is mended: nothing is lost, nothing is done twice, and
// nobody waits long. FAULTS=all runs every case of `cases.mjs`, else the few that are part of every run; AIM_TEST_STRICT=1
// holds the times against what is promised, without the room that a busy machine needs.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../contract/client.mjs';
import { Fleet } from '../fleet.mjs';
import { cases } from './cases.mjs';
import { Probes, percentile } from './probes.mjs';
import * as promises from './promises.mjs';
import { Traffic } from './traffic.mjs';

/** Messages under way when it breaks, at the least. */
const inFlight = 200;
/** From then on the breaker is taken to be open. */
const openedAfterMs = 1_000;

const chosen = process.env.FAULTS ?? 'small';
const wanted = cases.filter(({ name, small }) => (chosen === 'small' ? small : chosen === 'all' || name.includes(chosen)));
assert.ok(wanted.length > 0, `FAULTS=${chosen} is the name of no case`);

/** A figure of each case, as far as it came. */
const columns = {
  messages: 'messages',
  answered: 'answered',
  twice: 'answered twice',
  calls: 'model calls',
  again: 'asked again',
  usual: 'usual',
  until: 'added until open',
  median: 'median after',
  slowest: 'p95 after',
  meanwhile: 'meanwhile answered',
  back: 'all back',
};
const rows = [];
after(() => {
  const shown = (value) => (value === undefined ? '-' : Number.isInteger(value) ? String(value) : value.toFixed(1));
  const cells = rows.map((row) => [row.name, ...Object.keys(columns).map((column) => shown(row[column]))]);
  const lines = [['case', ...Object.values(columns)], ...cells];
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  console.log('times in ms');
  for (const line of lines) console.log(line.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  '));
});

for (const { name, fleet: options, breaks, lastsMs, mends, cut, measured, comesAndGoes, answeredMs } of wanted) {
  test(name, async (t) => {
    const row = { name };
    rows.push(row);
    const fleet = await Fleet.start(options);
    t.after(() => fleet.close());
    // A character gives some three replies a second, and all of them together not so many that they slow each other.
    fleet.model.plan = { ...fleet.model.plan, chunks: 6, firstMs: 60, delayMs: 50 };
    const traffic = await Traffic.begin(fleet);
    t.after(() => traffic.close());
    const watch = await promises.Watch.begin(traffic);
    // Nothing is promised yet: on a busy machine the first subscription takes its time.
    await eventually('the servers to hear each other', () => watch.serversMeet().then(() => true, () => false));

    await traffic.burst(320);
    traffic.trickle(100);
    const probes = Probes.begin(fleet.servers, traffic.people[0]);
    t.after(() => probes.stop());
    const began = performance.now();
    await sleep(2_000);
    assert.ok(traffic.inFlight() >= inFlight, `only ${traffic.inFlight()} messages are under way`);

    const [fault, faultAt] = [performance.now(), Date.now()];
    await breaks(fleet);
    // A process lives until it is killed, and may begin a reply just before.
    const brokenAt = Date.now();
    if (lastsMs > 0) row.meanwhile = await promises.answersGoOn(watch, answeredMs);
    await sleep(lastsMs - (performance.now() - fault));
    // What was asked just before it is mended may be answered after.
    const healing = performance.now() - 200;
    await mends(fleet);
    const healed = performance.now();
    row.back = await promises.allIsBack(watch, healed);
    await probes.stop();
    await traffic.stop();
    const found = await promises.quiet(traffic);

    row.messages = traffic.sent.length;
    row.answered = [...found.values()].flat().length / 2;
    row.calls = fleet.model.calls.length;
    const { answered: twice, asked: again } = promises.doubles(traffic, found);
    Object.assign(row, { twice, again });
    row.usual = percentile(probes.between(began, fault, fleet.servers), 0.5);
    if (measured) {
      const opened = comesAndGoes ? undefined : fault + openedAfterMs;
      const added = promises.whatWasAdded(probes, { began, fault, opened, healed: healing, servers: measured(fleet) });
      Object.assign(row, { until: added.until, median: added.median, slowest: added.slowest });
      promises.losingRedisAddsLittle(added);
    }
    promises.everyMessageIsStoredAndAnsweredOnce(found);
    promises.theModelIsPaidOnce(traffic, cut && { from: faultAt, to: brokenAt });
    promises.nothingWasRefused(traffic);
    await promises.usageIsExact(traffic);
    await promises.sessionsAreKept(traffic);
    await promises.everythingIsHeardOnce(traffic, found);
    fleet.assertNobodyFell();
    await eventually('health', async () => (await Promise.all(fleet.servers.map((one) => one.health()))).every((health) => promises.ill(health).length === 0));
  });
}
