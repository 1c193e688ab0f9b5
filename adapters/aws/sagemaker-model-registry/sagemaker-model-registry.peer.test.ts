import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FileObjectStore } from '#adapters/embedded/file-object-store/file-object-store.ts';
import { systemClock } from '#core/clock.ts';
import { modelRegistryContract } from '#core/contracts/model-registry.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { ModelDraft, ModelRef } from '#core/ports/model-registry.ts';
import { makeTable } from '#test/peers/moto-table.ts';
import { Moto } from '#test/peers/moto.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { dynamodbCheckpointStoreConfigSchema } from '../dynamodb-checkpoint-store/config.ts';
import { DynamodbCheckpointStore } from '../dynamodb-checkpoint-store/dynamodb-checkpoint-store.ts';
import { openModelPackages, type PackageCalls } from './client.ts';
import { sagemakerModelRegistryConfigSchema } from './config.ts';
import { promoted, type DecisionLog } from './decision-log.ts';
import { SagemakerModelRegistry } from './sagemaker-model-registry.ts';

const place = { region: 'eu-central-1', endpoint: '' };
const table = `tribo-${randomUUID()}`;
const folder = mkdtempSync(join(tmpdir(), 'tribo-packages-'));
let moto: Moto;

beforeAll(async () => {
  moto = await Moto.start();
  place.endpoint = moto.endpoint;
  await makeTable(moto, place.region, table);
}, 300_000);
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await moto[Symbol.asyncDispose]();
});

/** With what SageMaker does and moto does not: it knows the token of a request again, and takes no description of several lines. */
function strict(packages: PackageCalls): PackageCalls {
  const made = new Map<string, string>();
  return {
    ...packages,
    createPackage: async (group, draft, signal) => {
      const arn = made.get(draft.token) ?? (await packages.createPackage(group, draft, signal));
      made.set(draft.token, arn);
      return arn;
    },
    approve: async (arn, approval, signal) => {
      if (!/^.{0,1024}$/.test(approval.why))
        throw Object.assign(new Error(approval.why), { name: 'ValidationException' });
      await packages.approve(arn, approval, signal);
    },
  };
}

async function makeHarness(given: { readonly maxVersionsPerModel?: number; readonly timeoutMs?: number } = {}) {
  const config = sagemakerModelRegistryConfigSchema.parse({
    ...{ ...place, groupPrefix: 'tribo-akron', changePollMs: 20, ...given },
    image: '123456789012.dkr.ecr.eu-central-1.amazonaws.com/tribo-model-server:1',
  });
  const objects = new FileObjectStore({ directory: mkdtempSync(join(folder, 'objects-')) });
  const packages = strict(await openModelPackages(config));
  const checkpoints = await DynamodbCheckpointStore.open(
    dynamodbCheckpointStoreConfigSchema.parse({ ...place, table }),
  );
  const opened: { close(): void }[] = [packages, checkpoints];
  const reopen = async () => {
    const checkpoints = await DynamodbCheckpointStore.open(
      dynamodbCheckpointStoreConfigSchema.parse({ ...place, table }),
    );
    const packages = strict(await openModelPackages(config));
    const registry = new SagemakerModelRegistry(config, { packages, objects, checkpoints, clock: systemClock });
    opened.push(registry, checkpoints);
    return registry;
  };
  const id = randomUUID().slice(0, 8);
  return {
    registry: await reopen(),
    tenants: [`north-${id}` as TenantId, `south-${id}` as TenantId] as const,
    ...{ objects, reopen, packages, checkpoints },
    [Symbol.asyncDispose]: async () => opened.forEach((each) => each.close()),
  };
}

const draft = (content: string, provenance: Partial<ModelDraft['provenance']> = {}): ModelDraft => ({
  ...{ artifact: Buffer.from(content), format: 'onnx', inputs: ['rms_g'], parameters: {} },
  provenance: { trainedOn: '', fromMs: 0, toMs: 0, samples: 0, software: '', metrics: {}, ...provenance },
});
const decision = { by: 'ada', reason: 'the baseline is new' };

/** The name of the model's group, which exists. */
async function groupOf(packages: PackageCalls, model: ModelRef): Promise<string> {
  const groups = await packages.groups('tribo-akron', new AbortController().signal);
  return groups.find(({ description }) => description === JSON.stringify(model))!.name;
}

describeContract(modelRegistryContract, 'SageMaker and DynamoDB (moto)', () => makeHarness());

describe('a model in SageMaker', () => {
  it('is a group of packages, of which the promoted one alone is approved, with who and why', async () => {
    await using harness = await makeHarness();
    const { registry, tenants } = harness;
    const model = { name: 'rul', tenant: tenants[0] };
    for (const content of ['one', 'two']) await registry.register(model, draft(content));
    await registry.promote(model, 1, decision);
    await registry.promote(model, 2, decision);
    const { SageMaker } = await import('@aws-sdk/client-sagemaker');
    const sagemaker = new SageMaker(place);
    const { ModelPackageGroupSummaryList: groups = [] } = await sagemaker.listModelPackageGroups({ MaxResults: 100 });
    const group = groups.find((each) => each.ModelPackageGroupDescription === JSON.stringify(model));
    expect(group?.ModelPackageGroupName).toMatch(/^tribo-akron-[0-9a-f]{10}-[0-9a-f]{30}$/);
    const { ModelPackageSummaryList: packages = [] } = await sagemaker.listModelPackages({
      ModelPackageGroupName: group!.ModelPackageGroupName,
    });
    const shown = packages.map((each) => [each.ModelPackageVersion, each.ModelApprovalStatus]);
    expect(shown.sort()).toEqual([
      [1, 'PendingManualApproval'],
      [2, 'Approved'],
    ]);
    const approved = packages.find((each) => each.ModelPackageVersion === 2)!;
    expect(await sagemaker.describeModelPackage({ ModelPackageName: approved.ModelPackageArn })).toMatchObject({
      ApprovalDescription: 'ada: the baseline is new',
    });
    sagemaker.destroy();
  });

  it('has one version promoted when several decide at once on the same sight, and the others are told', async () => {
    await using harness = await makeHarness();
    const { registry, tenants } = harness;
    const model = { name: 'rul', tenant: tenants[0] };
    for (const content of ['one', 'two', 'three']) await registry.register(model, draft(content));
    const clients = [registry, await harness.reopen(), await harness.reopen()];
    const outcomes = await Promise.allSettled(
      clients.map((each, index) => each.promote(model, index + 1, decision, { expectedPromoted: 0 })),
    );
    const held = outcomes.filter(({ status }) => status === 'fulfilled');
    expect(held).toHaveLength(1);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'failed_precondition' });
    expect(await registry.promotions(model, { limit: 9 })).toHaveLength(1);
  });

  it('has dense versions when several register different bytes at once', async () => {
    await using harness = await makeHarness();
    const model = { name: 'rul', tenant: harness.tenants[0] };
    const clients = [harness.registry, await harness.reopen(), await harness.reopen()];
    await Promise.all(clients.map((each, index) => each.register(model, draft(`bytes ${index}`))));
    const versions = await harness.registry.listVersions(model, { limit: 9 });
    expect(versions.map(({ version }) => version)).toEqual([3, 2, 1]);
  });

  it('has versions of its own, though another has the same bytes', async () => {
    await using harness = await makeHarness();
    const [north, south] = harness.tenants.map((tenant) => ({ name: 'rul', tenant }));
    for (const model of [north!, south!]) await harness.registry.register(model, draft('one'));
    expect(await harness.registry.listVersions(south!, { limit: 9 })).toMatchObject([{ model: south, version: 1 }]);
  });

  it('is promoted for a reason of several lines, which one line tells', async () => {
    await using harness = await makeHarness();
    const model = { name: 'rul', tenant: harness.tenants[0] };
    await harness.registry.register(model, draft('one'));
    const reason = 'fewer alarms\n\nseen in May';
    await harness.registry.promote(model, 1, { by: 'ada', reason });
    expect(await harness.registry.promotions(model, { limit: 9 })).toMatchObject([{ reason }]);
  });

  it('refuses versions above its bound, and a record that its metadata cannot hold, before anything is made', async () => {
    await using harness = await makeHarness({ maxVersionsPerModel: 1 });
    const { registry, tenants } = harness;
    const model = { name: 'rul', tenant: tenants[0] };
    await registry.register(model, draft('one'));
    await expect(registry.register(model, draft('two'))).rejects.toMatchObject({ code: 'resource_exhausted' });
    const noise = Array.from({ length: 500 }, () => randomUUID()).join(' ');
    const tooLarge = registry.register({ ...model, name: 'other' }, draft('one', { trainedOn: noise }));
    await expect(tooLarge).rejects.toMatchObject({ code: 'invalid_argument' });
    expect((await registry.listModels({ tenant: tenants[0], limit: 9 })).map((each) => each.model)).toEqual([model]);
  });

  it('has more versions than a page of SageMaker holds, each of which can be listed, promoted and found again', async () => {
    await using harness = await makeHarness();
    const { registry, tenants, packages } = harness;
    const model = { name: 'rul', tenant: tenants[0] };
    await registry.register(model, draft('the first'));
    const { signal } = new AbortController();
    const group = await groupOf(packages, model);
    const [first] = await packages.packages(group, signal);
    const properties = await packages.properties(first!.arn, signal);
    for (let version = 2; version <= 204; version++) {
      const description = version.toString(16).padStart(64, '0');
      await packages.createPackage(group, { description, properties, token: description.slice(28) }, signal);
    }
    expect(await registry.register(model, draft('the last'))).toMatchObject({ version: 205 });
    expect(await registry.register(model, draft('the first'))).toMatchObject({ version: 1 });
    const listed = await registry.listVersions(model, { before: 104, limit: 3 });
    expect(listed.map(({ version }) => version)).toEqual([103, 102, 101]);
    for (const version of [1, 205]) {
      await registry.promote(model, version, decision);
      const approved = (await packages.packages(group, signal)).filter(({ isApproved }) => isApproved);
      expect(approved.map((each) => each.version)).toEqual([version]);
    }
    expect(await registry.rollback(model, decision)).toMatchObject({ version: 1 });
    expect(await registry.listModels({ tenant: tenants[0], limit: 9 })).toEqual([
      { model, latestVersion: 205, promotedVersion: 1 },
    ]);
  });

  it('keeps its last 1,000 decisions, however long their reasons, and goes on to number them', async () => {
    await using harness = await makeHarness();
    const { registry, tenants, packages, checkpoints } = harness;
    const model = { name: 'rul', tenant: tenants[0] };
    for (const content of ['one', 'two']) await registry.register(model, draft(content));
    const reasonOf = (atMs: number) => `${atMs} `.padEnd(1000, 'x');
    let log: DecisionLog = [];
    for (let atMs = 1; atMs <= 1000; atMs++)
      log = promoted(log, 1 + (atMs % 2), { by: 'ada', reason: reasonOf(atMs) }, atMs);
    const name = `model-registry.${await groupOf(packages, model)}`;
    await checkpoints.save(name, Buffer.from(JSON.stringify(log)), 0);
    expect(await registry.promotions(model, { limit: 2000 })).toHaveLength(1000);
    await registry.promote(model, 2, { by: 'ada', reason: reasonOf(1001) });
    await registry.rollback(model, { by: 'ada', reason: reasonOf(1002) });
    const kept = await (await harness.reopen()).promotions(model, { limit: 2000 });
    expect(kept).toHaveLength(1000);
    expect(kept.slice(0, 3).map(({ kind, version, reason }) => [kind, version, reason])).toEqual([
      ['rollback', 1, reasonOf(1002)],
      ['promote', 2, reasonOf(1001)],
      ['promote', 1, reasonOf(1000)],
    ]);
    expect(kept.at(-1)).toMatchObject({ atMs: 3, reason: reasonOf(3) });
    expect(await registry.getPromoted(model)).toMatchObject({ version: 1 });
  });

  it('is waited for no longer than told', async () => {
    await using harness = await makeHarness({ timeoutMs: 300 });
    moto.pause();
    const late = await harness.registry
      .listVersions({ name: 'rul', tenant: harness.tenants[0] }, { limit: 1 })
      .catch((error: unknown) => error);
    moto.goOn();
    expect(late).toMatchObject({ code: 'deadline_exceeded' });
  });
});
