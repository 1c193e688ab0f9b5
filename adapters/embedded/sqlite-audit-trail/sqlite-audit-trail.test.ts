import { join } from 'node:path';
import { auditTrailContract } from '#core/contracts/audit-trail.contract.ts';
import { movableAuditTrailContract } from '#core/contracts/movable.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openInFolder } from '#test/support/store-in-folder.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { SqliteAuditTrail } from './sqlite-audit-trail.ts';

const MAX_ENTRIES = 20;

const open = () =>
  openInFolder((folder) => SqliteAuditTrail.open({ databasePath: join(folder, 'audit.db'), maxEntries: MAX_ENTRIES }));

describeContract(movableAuditTrailContract, 'sqlite', () => twoSites(open, open));

describeContract(auditTrailContract, 'sqlite', async () => {
  const { store, ...opened } = await open();
  return {
    ...opened,
    trail: store,
    maxEntries: MAX_ENTRIES,
    tenants: ['north' as TenantId, 'south' as TenantId] as const,
  };
});
