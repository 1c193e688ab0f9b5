import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import { FileObjectStore } from '#adapters/embedded/file-object-store/file-object-store.ts';
import { systemClock } from '#core/clock.ts';
import { modelRegistryContract } from '#core/contracts/model-registry.contract.ts';
import { movableModelRegistryContract } from '#core/contracts/movable.contract.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { modelRegistryHarness } from '../contract-harnesses.ts';
import { postgresModelRegistryConfigSchema } from './config.ts';
import { PostgresModelRegistry } from './postgres-model-registry.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const folder = mkdtempSync(join(tmpdir(), 'tribo-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

const open = (objects: FileObjectStore) =>
  postgres.openInSchema((connection) =>
    PostgresModelRegistry.open(postgresModelRegistryConfigSchema.parse(connection), objects, systemClock),
  );
const freshObjects = () => new FileObjectStore({ directory: mkdtempSync(join(folder, 'objects-')) });

describeContract(movableModelRegistryContract, 'PostgreSQL', () => {
  // Artifacts are moved with the other objects: here both sites have them.
  const objects = freshObjects();
  return twoSites(
    () => open(objects),
    () => open(objects),
  );
});

describeContract(modelRegistryContract, 'PostgreSQL', () =>
  modelRegistryHarness(postgresModelRegistryConfigSchema.parse(postgres.freshConnection()), freshObjects()),
);
