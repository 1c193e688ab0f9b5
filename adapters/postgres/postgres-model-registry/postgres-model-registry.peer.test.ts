import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import { FileObjectStore } from '#adapters/embedded/file-object-store/file-object-store.ts';
import { systemClock } from '#core/clock.ts';
import { modelRegistryContract } from '#core/contracts/model-registry.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { postgresModelRegistryConfigSchema } from './config.ts';
import { PostgresModelRegistry } from './postgres-model-registry.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const folder = mkdtempSync(join(tmpdir(), 'tribo-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

describeContract(modelRegistryContract, 'PostgreSQL', async () => {
  const objects = new FileObjectStore({ directory: mkdtempSync(join(folder, 'objects-')) });
  const { store: registry, ...opened } = await postgres.openInSchema((connection) =>
    PostgresModelRegistry.open(postgresModelRegistryConfigSchema.parse(connection), objects, systemClock),
  );
  return { ...opened, registry, objects, tenants: ['north' as TenantId, 'south' as TenantId] as const };
});
