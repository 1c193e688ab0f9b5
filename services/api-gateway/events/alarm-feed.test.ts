import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { SqliteAlarmJournal } from '#adapters/embedded/sqlite-alarm-journal/sqlite-alarm-journal.ts';
import { sampleActivation } from '#core/contracts/sample-alarm.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { AlarmFeed } from './alarm-feed.ts';

const NORTH = 'north' as TenantId;

it('a feed tells what was recorded since it was made, once, and never what was before, however soon', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tribo-feed-'));
  const clock = new HeldClock(1_800_000_000_000);
  await using journal = await SqliteAlarmJournal.open(
    { databasePath: join(directory, 'alarms.sqlite'), changePollMs: 1000 },
    clock,
  );
  try {
    const raise = async (rule: string) => {
      const machine = machineKey(NORTH, 'akron' as SiteId, 'press-7' as MachineId);
      await journal.record([sampleActivation({ id: rule, rule, machine, atMs: clock.nowMs() })], {
        correlationWindowMs: 0,
      });
      clock.advance(1500);
    };
    // The feed reads the last two seconds again: the later of these, and not the earlier.
    await raise('earlier');
    await raise('later');
    const feed = new AlarmFeed(journal, NORTH, clock);
    expect(await feed.next()).toEqual([]);
    expect(await feed.next()).toEqual([]);
    await raise('new');
    expect(await feed.next()).toMatchObject([{ event: { change: 'raised', alarm: { parts: [{ title: 'new' }] } } }]);
    expect(await feed.next()).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
