import { afterAll, beforeAll } from '@jest/globals';
import { auditTrailContract } from '#core/contracts/audit-trail.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { postgresAuditTrailConfigSchema } from './config.ts';
import { PostgresAuditTrail } from './postgres-audit-trail.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const MAX_ENTRIES = 20;

describeContract(auditTrailContract, 'PostgreSQL', async () => {
  const { store: trail, ...opened } = await postgres.openInSchema((connection) =>
    PostgresAuditTrail.open(postgresAuditTrailConfigSchema.parse({ ...connection, maxEntries: MAX_ENTRIES })),
  );
  const tenants = ['north' as TenantId, 'south' as TenantId] as const;
  return { ...opened, trail, maxEntries: MAX_ENTRIES, tenants };
});
