import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#core/clock.ts';
import { alarmJournalContract } from '#core/contracts/alarm-journal.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { SqliteAlarmJournal } from './sqlite-alarm-journal.ts';

describeContract(alarmJournalContract, 'sqlite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-alarms-'));
  const opened: SqliteAlarmJournal[] = [];
  const reopen = async () => {
    const journal = await SqliteAlarmJournal.open(
      { databasePath: join(folder, 'alarms.db'), changePollMs: 10 },
      systemClock,
    );
    opened.push(journal);
    return journal;
  };
  return {
    journal: await reopen(),
    tenants: ['north' as TenantId, 'south' as TenantId] as const,
    reopen,
    [Symbol.asyncDispose]: async () => {
      for (const each of opened) await each.close();
      rmSync(folder, { recursive: true });
    },
  };
});
