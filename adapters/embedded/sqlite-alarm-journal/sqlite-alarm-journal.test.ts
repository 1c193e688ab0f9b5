import { join } from 'node:path';
import { systemClock } from '#core/clock.ts';
import { alarmJournalContract } from '#core/contracts/alarm-journal.contract.ts';
import { movableAlarmJournalContract } from '#core/contracts/movable.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openInFolder } from '#test/support/store-in-folder.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { SqliteAlarmJournal } from './sqlite-alarm-journal.ts';

const open = () =>
  openInFolder((folder) =>
    SqliteAlarmJournal.open({ databasePath: join(folder, 'alarms.db'), changePollMs: 10 }, systemClock),
  );

describeContract(movableAlarmJournalContract, 'sqlite', () => twoSites(open, open));

describeContract(alarmJournalContract, 'sqlite', async () => {
  const { store: journal, ...others } = await open();
  return { journal, ...others, tenants: ['north' as TenantId, 'south' as TenantId] as const };
});
