import { afterAll, beforeAll } from '@jest/globals';
import { auditTrailContract } from '#core/contracts/audit-trail.contract.ts';
import { movableAuditTrailContract } from '#core/contracts/movable.contract.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { auditTrailHarness } from '../contract-harnesses.ts';
import { postgresAuditTrailConfigSchema } from './config.ts';
import { PostgresAuditTrail } from './postgres-audit-trail.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const open = () =>
  postgres.openInSchema((connection) => PostgresAuditTrail.open(postgresAuditTrailConfigSchema.parse(connection)));

describeContract(movableAuditTrailContract, 'PostgreSQL', () => twoSites(open, open));

describeContract(auditTrailContract, 'PostgreSQL', () =>
  auditTrailHarness(postgresAuditTrailConfigSchema.parse(postgres.freshConnection())),
);
