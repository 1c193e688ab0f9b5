import assert from 'node:assert/strict';
import { machineKey, parseName, type MachineId, type MachineKey, type SiteId, type TenantId } from '../domain/ids.ts';
import { modelKey, type ModelDraft, type ModelRef, type ModelRegistry } from '../ports/model-registry.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';
import { until } from './until.ts';

export interface ModelRegistryHarness {
  readonly registry: ModelRegistry;
  /** Two tenants of this case alone. */
  readonly tenants: readonly [TenantId, TenantId];
  /** Where the registry keeps artifacts; a case damages it as a disk would. Holds nothing else of this case's tenants. */
  readonly objects: ObjectStore;
  /** Another client of the same registry, as another process would open it. */
  reopen(): Promise<ModelRegistry>;
}

const NAME = 'vibration-health';
const site = parseName<SiteId>('site', 'akron');
const machineOf = (tenant: TenantId, id = 'press-7'): MachineKey =>
  machineKey(tenant, site, parseName<MachineId>('machine', id));

function sensorModel({ tenants: [tenant] }: Pick<ModelRegistryHarness, 'tenants'>): ModelRef {
  return { name: NAME, tenant, machine: machineOf(tenant), sensor: 'acc-de' };
}

const decision = { by: 'ada', reason: 'the baseline is new' };

function draft(content: string): ModelDraft {
  return {
    artifact: new TextEncoder().encode(content),
    format: 'onnx',
    inputs: ['rms_g', 'kurtosis'],
    parameters: { threshold: 4.5, smoothing: { span: 5 } },
    provenance: {
      trainedOn: 'feature vectors of acc-de while running',
      fromMs: 1_795_222_800_000,
      toMs: 1_795_226_400_000,
      samples: 100,
      software: 'tribo 0.1.0',
      metrics: { trainingScoreP99: 2.5 },
    },
  };
}

async function promotedVersion(registry: ModelRegistry, model: ModelRef): Promise<number | undefined> {
  return (await registry.getPromoted(model))?.version;
}

export const modelRegistryContract: Contract<ModelRegistryHarness> = {
  port: 'model-registry',
  cases: [
    {
      name: 'returns a version as it was registered, with its artifact, also to another client',
      async run(harness) {
        const model = sensorModel(harness);
        const { artifact, ...rest } = draft('one');
        const registered = await harness.registry.register(model, { artifact, ...rest });
        assert.equal(registered.version, 1);
        assert.equal(registered.artifactBytes, 3);
        assert.match(registered.sha256, /^[0-9a-f]{64}$/);
        for (const registry of [harness.registry, await harness.reopen()]) {
          const [listed, ...others] = await registry.listVersions(model, { limit: 10 });
          assert.deepEqual(listed, registered);
          assert.deepEqual({ ...listed, ...rest }, listed);
          assert.equal(others.length, 0);
          assert.deepEqual(Uint8Array.from(await registry.artifact(model, 1)), artifact);
        }
      },
    },
    {
      name: 'numbers the versions of each model from 1, and lists them newest first, page by page',
      async run(harness) {
        const model = sensorModel(harness);
        const other = { ...model, sensor: 'acc-nde' };
        for (const content of ['a', 'b', 'c']) await harness.registry.register(model, draft(content));
        assert.equal((await harness.registry.register(other, draft('a'))).version, 1);
        const page = await harness.registry.listVersions(model, { limit: 2 });
        assert.deepEqual(
          page.map((each) => each.version),
          [3, 2],
        );
        const rest = await harness.registry.listVersions(model, { before: 2, limit: 2 });
        assert.deepEqual(
          rest.map((each) => each.version),
          [1],
        );
      },
    },
    {
      name: 'adds nothing when the same bytes are registered for the same model again, also at the same time',
      async run(harness) {
        const model = sensorModel(harness);
        const again = await harness.reopen();
        const versions = await Promise.all([
          harness.registry.register(model, draft('one')),
          again.register(model, draft('one')),
          harness.registry.register(model, draft('one')),
        ]);
        assert.deepEqual(
          versions.map((each) => each.version),
          [1, 1, 1],
        );
        assert.equal((await harness.registry.listVersions(model, { limit: 10 })).length, 1);
        assert.equal((await harness.registry.register(model, draft('two'))).version, 2);
      },
    },
    {
      name: 'has no promoted version until one is promoted',
      async run(harness) {
        const model = sensorModel(harness);
        assert.equal(await harness.registry.getPromoted(model), undefined);
        const registered = await harness.registry.register(model, draft('one'));
        assert.equal(await harness.registry.getPromoted(model), undefined);
        assert.deepEqual(await harness.registry.promote(model, 1, decision), registered);
        assert.deepEqual(await harness.registry.getPromoted(model), registered);
        assert.deepEqual(await (await harness.reopen()).getPromoted(model), registered);
      },
    },
    {
      name: 'keeps a model of a tenant, of a machine and of a sensor apart',
      async run(harness) {
        const sensor = sensorModel(harness);
        const { sensor: _, ...machine } = sensor;
        const { machine: __, ...tenant } = machine;
        for (const model of [sensor, machine, tenant]) {
          await harness.registry.register(model, draft(modelKey(model)));
          await harness.registry.promote(model, 1, decision);
        }
        for (const model of [sensor, machine, tenant]) {
          assert.equal(new TextDecoder().decode(await harness.registry.artifact(model, 1)), modelKey(model));
          assert.deepEqual((await harness.registry.getPromoted(model))?.model, model);
        }
      },
    },
    {
      name: 'promotes a version again without effect, and no version that is not there',
      async run(harness) {
        const model = sensorModel(harness);
        await harness.registry.register(model, draft('one'));
        await harness.registry.promote(model, 1, decision);
        await harness.registry.promote(model, 1, decision);
        assert.equal((await harness.registry.promotions(model, { limit: 10 })).length, 1);
        await assert.rejects(harness.registry.promote(model, 2, decision), failsWith('not_found'));
        await assert.rejects(
          harness.registry.promote({ ...model, name: 'other' }, 1, decision),
          failsWith('not_found'),
        );
        assert.equal(await promotedVersion(harness.registry, model), 1);
      },
    },
    {
      name: 'rolls back step by step to what was promoted before, and no further than that',
      async run(harness) {
        const { registry } = harness;
        const model = sensorModel(harness);
        await assert.rejects(registry.rollback(model, decision), failsWith('failed_precondition'));
        for (const content of ['one', 'two', 'three', 'four']) await registry.register(model, draft(content));
        for (const version of [1, 2, 3]) await registry.promote(model, version, decision);
        assert.equal((await registry.rollback(model, decision)).version, 2);
        await registry.promote(model, 4, decision);
        assert.equal((await registry.rollback(model, decision)).version, 2);
        assert.equal((await registry.rollback(model, decision)).version, 1);
        await assert.rejects(registry.rollback(model, decision), failsWith('failed_precondition'));
        assert.equal(await promotedVersion(registry, model), 1);
      },
    },
    {
      name: 'promotes and rolls back only what the decider has seen promoted, where that is said',
      async run(harness) {
        const { registry } = harness;
        const model = sensorModel(harness);
        for (const content of ['one', 'two']) await registry.register(model, draft(content));
        const promote = (version: number, expectedPromoted: number) =>
          registry.promote(model, version, decision, { expectedPromoted });
        await assert.rejects(promote(1, 1), failsWith('failed_precondition'));
        await promote(1, 0);
        await assert.rejects(promote(2, 0), failsWith('failed_precondition'));
        await promote(2, 1);
        await assert.rejects(
          registry.rollback(model, decision, { expectedPromoted: 1 }),
          failsWith('failed_precondition'),
        );
        assert.equal(await promotedVersion(registry, model), 2);
        await registry.rollback(model, decision, { expectedPromoted: 2 });
        assert.equal(await promotedVersion(registry, model), 1);
      },
    },
    {
      name: 'remembers who registered a version',
      async run(harness) {
        const { registry } = harness;
        const model = sensorModel(harness);
        await registry.register(model, { ...draft('one'), registeredBy: 'ada' });
        await registry.register(model, draft('two'));
        const versions = await registry.listVersions(model, { limit: 10 });
        assert.deepEqual(
          versions.map(({ registeredBy }) => registeredBy),
          [undefined, 'ada'],
        );
      },
    },
    {
      name: 'remembers who promoted and rolled back what and why, newest first',
      async run(harness) {
        const { registry } = harness;
        const model = sensorModel(harness);
        for (const content of ['one', 'two']) await registry.register(model, draft(content));
        await registry.promote(model, 1, { by: 'ada', reason: 'first' });
        await registry.promote(model, 2, { by: 'ml-service', reason: 'bearing change' });
        await registry.rollback(model, { by: 'bob', reason: 'too many alarms' });
        const history = await registry.promotions(model, { limit: 10 });
        assert.deepEqual(
          history.map(({ atMs: _, ...each }) => each),
          [
            { version: 1, kind: 'rollback', by: 'bob', reason: 'too many alarms' },
            { version: 2, kind: 'promote', by: 'ml-service', reason: 'bearing change' },
            { version: 1, kind: 'promote', by: 'ada', reason: 'first' },
          ],
        );
        assert.ok(history.every((each) => each.atMs > 0));
        assert.equal((await registry.promotions(model, { limit: 1 }))[0]?.by, 'bob');
      },
    },
    {
      name: 'lists the models of a tenant in order, page by page, by name and machine, and none of another tenant',
      async run(harness) {
        const { registry, tenants } = harness;
        const [own, foreign] = tenants;
        const models: ModelRef[] = [
          { name: 'rul', tenant: own },
          { name: NAME, tenant: own, machine: machineOf(own, 'fan-1'), sensor: 'a' },
          { name: NAME, tenant: own, machine: machineOf(own, 'fan-1'), sensor: 'b' },
          { name: NAME, tenant: own, machine: machineOf(own, 'pump-2'), sensor: 'a' },
        ];
        for (const model of models) await registry.register(model, draft('one'));
        await registry.register({ name: 'rul', tenant: foreign }, draft('one'));
        await registry.promote(models[1]!, 1, decision);
        const first = await registry.listModels({ tenant: own, limit: 3 });
        const after = modelKey(first.at(-1)!.model);
        const all = [...first, ...(await registry.listModels({ tenant: own, after, limit: 3 }))];
        assert.deepEqual(
          all.map((each) => modelKey(each.model)),
          models.map(modelKey).sort(),
        );
        assert.deepEqual(
          all.map((each) => [each.latestVersion, each.promotedVersion]).filter(([, promoted]) => promoted),
          [[1, 1]],
        );
        const ofFan = await registry.listModels({
          tenant: own,
          name: NAME,
          machine: machineOf(own, 'fan-1'),
          limit: 9,
        });
        assert.deepEqual(
          ofFan.map((each) => each.model),
          models.slice(1, 3),
        );
      },
    },
    {
      name: 'tells other clients of a change',
      async run(harness) {
        const model = sensorModel(harness);
        const reader = await harness.reopen();
        let calls = 0;
        const stop = reader.onChange(() => (calls += 1));
        await harness.registry.register(model, draft('one'));
        await until(() => calls > 0, 'a call back after the registration');
        const before = calls;
        await harness.registry.promote(model, 1, decision);
        await until(() => calls > before, 'a call back after the promotion');
        assert.equal(await promotedVersion(reader, model), 1);
        stop();
      },
    },
    ...(
      [
        ['gone', (objects: ObjectStore, key: string) => objects.delete(key)],
        ['changed', (objects: ObjectStore, key: string) => objects.put(key, new TextEncoder().encode('damaged'))],
      ] as const
    ).map(([what, damage]) => ({
      name: `never hands out an artifact whose bytes are ${what}`,
      async run(harness: ModelRegistryHarness) {
        const model = sensorModel(harness);
        await harness.registry.register(model, draft('one'));
        const stored = await harness.objects.list({ prefix: '', limit: 100 });
        for (const { key } of stored) await damage(harness.objects, key);
        assert.ok(stored.length > 0);
        await assert.rejects(harness.registry.artifact(model, 1), failsWith('data_loss'));
        await assert.rejects(harness.registry.artifact(model, 2), failsWith('not_found'));
      },
    })),
    {
      name: 'refuses what it cannot keep: bad names, foreign machines, a sensor without machine, an empty artifact',
      async run(harness) {
        const model = sensorModel(harness);
        const { tenant, sensor } = model;
        const bad: ModelRef[] = [
          { name: '../etc', tenant },
          { name: '', tenant },
          { ...model, sensor: 'a/b' },
          { name: NAME, tenant, sensor: sensor! },
          { ...model, machine: machineOf(harness.tenants[1]) },
        ];
        for (const each of bad) {
          await assert.rejects(harness.registry.register(each, draft('one')), failsWith('invalid_argument'));
        }
        await assert.rejects(harness.registry.register(model, draft('')), failsWith('invalid_argument'));
        assert.deepEqual(await harness.registry.listModels({ tenant, limit: 10 }), []);
      },
    },
    {
      name: 'rejects at once for a caller that has stopped waiting',
      async run(harness) {
        const model = sensorModel(harness);
        const signal = AbortSignal.abort();
        await assert.rejects(harness.registry.register(model, draft('one'), { signal }), failsWith('cancelled'));
        await assert.rejects(harness.registry.getPromoted(model, { signal }), failsWith('cancelled'));
        assert.deepEqual(await harness.registry.listVersions(model, { limit: 1 }), []);
      },
    },
  ],
};
