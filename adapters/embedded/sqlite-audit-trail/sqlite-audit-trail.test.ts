import { join } from 'node:path';
import { auditTrailContract } from '#core/contracts/audit-trail.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openInFolder } from '#test/support/store-in-folder.ts';
import { SqliteAuditTrail } from './sqlite-audit-trail.ts';

const MAX_ENTRIES = 20;

describeContract(auditTrailContract, 'sqlite', async () => {
  const { store, ...opened } = await openInFolder((folder) =>
    SqliteAuditTrail.open({ databasePath: join(folder, 'audit.db'), maxEntries: MAX_ENTRIES }),
  );
  return {
    ...opened,
    trail: store,
    maxEntries: MAX_ENTRIES,
    tenants: ['north' as TenantId, 'south' as TenantId] as const,
  };
});
