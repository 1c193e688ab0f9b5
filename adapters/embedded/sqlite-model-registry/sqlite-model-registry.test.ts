import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { modelRegistryContract } from '#core/contracts/model-registry.contract.ts';
import { movableModelRegistryContract } from '#core/contracts/movable.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { ModelDraft } from '#core/ports/model-registry.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { MemoryObjectStore } from '#test/support/memory-object-store.ts';
import { openInFolder } from '#test/support/store-in-folder.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { FileObjectStore } from '../file-object-store/file-object-store.ts';
import { sqliteModelRegistryConfigSchema } from './config.ts';
import { SqliteModelRegistry } from './sqlite-model-registry.ts';

async function openStore(limits: { maxVersionsPerModel?: number } = {}) {
  const clock = { nowMs: () => 1_795_222_800_000, monotonicMs: () => 0 };
  const kept: { objects?: FileObjectStore } = {};
  const { store: registry, ...others } = await openInFolder((folder) => {
    const objects = (kept.objects ??= new FileObjectStore({ directory: join(folder, 'objects') }));
    const place = { databasePath: join(folder, 'registry.db'), changePollMs: 10 };
    return SqliteModelRegistry.open(sqliteModelRegistryConfigSchema.parse({ ...place, ...limits }), objects, clock);
  });
  return { registry, objects: kept.objects!, ...others };
}

describeContract(modelRegistryContract, 'sqlite', async () => ({
  ...(await openStore()),
  tenants: ['north' as TenantId, 'south' as TenantId] as const,
}));

describeContract(movableModelRegistryContract, 'sqlite', () => {
  // Artifacts are moved with the other objects: here both sites have them.
  const objects = new MemoryObjectStore();
  const open = () =>
    openInFolder((folder) => {
      const place = { databasePath: join(folder, 'registry.db') };
      return SqliteModelRegistry.open(sqliteModelRegistryConfigSchema.parse(place), objects, systemClock);
    });
  return twoSites(open, open);
});

describe('SQLite model registry', () => {
  const model = { name: 'vibration-health', tenant: 'north' as TenantId };
  const draft = (content: string): ModelDraft => ({
    artifact: Buffer.from(content),
    format: 'onnx',
    inputs: [],
    parameters: {},
    provenance: { trainedOn: '', fromMs: 0, toMs: 0, samples: 0, software: '', metrics: {} },
  });

  it('refuses versions above its bound, and still returns those there are', async () => {
    await using opened = await openStore({ maxVersionsPerModel: 2 });
    await opened.registry.register(model, draft('one'));
    await opened.registry.register(model, draft('two'));
    await expect(opened.registry.register(model, draft('three'))).rejects.toMatchObject({ code: 'resource_exhausted' });
    await expect(opened.registry.register(model, draft('one'))).resolves.toMatchObject({ version: 1 });
  });

  it('leaves no version behind when the artifact cannot be stored', async () => {
    await using opened = await openStore();
    opened.objects.put = () => Promise.reject(new Error('disk full'));
    await expect(opened.registry.register(model, draft('one'))).rejects.toThrow('disk full');
    expect(await opened.registry.listVersions(model, { limit: 10 })).toEqual([]);
  });
});
