import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '#core/clock.ts';
import { isPortError, PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { CheckpointStore, Lease } from '#core/ports/checkpoint-store.ts';
import {
  modelKey,
  type DecisionCondition,
  type ModelDecision,
  type ModelDraft,
  type ModelListQuery,
  type ModelPromotion,
  type ModelRef,
  type ModelRegistry,
  type ModelVersion,
  type RegisteredModel,
} from '#core/ports/model-registry.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { ModelArtifacts } from '../../model-artifacts.ts';
import { PolledChanges } from '../../polled-changes.ts';
import { awsCall, type AwsCodes } from '../aws-errors.ts';
import { openModelPackages, type PackageCalls, type PackageSummary } from './client.ts';
import type { SagemakerModelRegistryConfig } from './config.ts';
import { promoted, rolledBack, type DecisionLog } from './decision-log.ts';
import { propertiesOf, recordOf } from './package-record.ts';

export interface SagemakerModelRegistryParts {
  readonly packages: PackageCalls;
  /** Of the artifacts. */
  readonly objects: ObjectStore;
  /** Of the decisions, and of the leases under which versions are made. */
  readonly checkpoints: CheckpointStore;
  readonly clock: Clock;
}

const CODES: AwsCodes = {
  ConflictException: 'failed_precondition',
  ResourceInUse: 'failed_precondition',
  ResourceLimitExceeded: 'resource_exhausted',
  ResourceNotFound: 'not_found',
};
/** Of a holder that is gone the lease is over after so long; a call is over sooner. */
const LEASE_MS = 60_000;
const LEASE_WAIT_MS = 150_000;
const LEASE_RETRY_MS = 100;
const REASON_CHARACTERS = 1024;

/**
 * Versions as model packages of SageMaker's Model Registry, a group a model, artifacts in an object store. SageMaker changes nothing on a condition, so
 * versions are made under a lease, and what is promoted is decided by compare-and-set in the checkpoint store; the packages' approval follows it.
 */
export class SagemakerModelRegistry implements ModelRegistry {
  readonly #config: SagemakerModelRegistryConfig;
  readonly #packages: PackageCalls;
  readonly #artifacts: ModelArtifacts;
  readonly #checkpoints: CheckpointStore;
  readonly #clock: Clock;
  readonly #changes: PolledChanges;

  constructor(config: SagemakerModelRegistryConfig, parts: SagemakerModelRegistryParts) {
    this.#config = config;
    this.#packages = parts.packages;
    this.#artifacts = new ModelArtifacts(parts.objects);
    this.#checkpoints = parts.checkpoints;
    this.#clock = parts.clock;
    this.#changes = new PolledChanges(config.changePollMs, {
      read: async () => textOf((await this.#checkpoints.load(this.#changesName))?.state),
      write: (mark) => this.#noteChange(mark),
    });
  }

  static async open(
    config: SagemakerModelRegistryConfig,
    parts: Omit<SagemakerModelRegistryParts, 'packages'>,
  ): Promise<SagemakerModelRegistry> {
    return new SagemakerModelRegistry(config, { ...parts, packages: await openModelPackages(config) });
  }

  async register(model: ModelRef, draft: ModelDraft, options: CallOptions = {}): Promise<ModelVersion> {
    throwIfAborted(options.signal);
    const { format, inputs, parameters, provenance, registeredBy } = draft;
    const kept = await this.#artifacts.keep(model, draft, options.signal);
    const by = registeredBy === undefined ? {} : { registeredBy };
    const record = { ...kept, registeredAtMs: this.#clock.nowMs(), format, inputs, parameters, provenance, ...by };
    const draftOfPackage = {
      description: kept.sha256,
      properties: propertiesOf(record),
      // Of the model, too: the service answers a token that it knows with what it made for it, in whichever group.
      token: digest(`${modelKey(model)} ${kept.sha256}`, 36),
    };
    const same = (await this.#versions(model, options)).find(({ description }) => description === kept.sha256);
    if (same) return this.#version(model, same, options);
    const version = await this.#alone(model, options, async (renew) => {
      const versions = await this.#versions(model, options);
      const made = versions.find(({ description }) => description === kept.sha256);
      if (made) return this.#version(model, made, options);
      this.#checkCount(model, versions);
      await this.#makeGroup(model, options);
      // Another may hold the lease by now if the calls before took long; the one that follows cannot outlast it.
      await renew();
      const arn = await this.#call(`register a version of ${modelKey(model)}`, options, (signal) =>
        this.#packages.createPackage(this.#groupOf(model), draftOfPackage, signal),
      );
      return { model, version: versionOfArn(arn), ...record };
    });
    await this.#changes.tell(modelKey(model));
    return version;
  }

  async artifact(model: ModelRef, version: number, options: CallOptions = {}): Promise<Uint8Array> {
    throwIfAborted(options.signal);
    const { description: sha256 } = await this.#requireVersion(model, version, options);
    return this.#artifacts.read({ model, version, sha256 }, options.signal);
  }

  async listModels(query: ModelListQuery, options: CallOptions = {}): Promise<readonly RegisteredModel[]> {
    throwIfAborted(options.signal);
    const groups = await this.#call(`list models of ${query.tenant}`, options, (signal) =>
      this.#packages.groups(this.#groupsOf(query.tenant), signal),
    );
    const models = groups
      .map(({ description }) => modelOf(description))
      .filter((model) => model !== undefined)
      .filter(({ name }) => query.name === undefined || name === query.name)
      .filter(({ machine }) => query.machine === undefined || machine === query.machine)
      .map((model) => ({ model, key: modelKey(model) }))
      .filter(({ key }) => query.after === undefined || key > query.after)
      .sort((left, right) => (left.key < right.key ? -1 : 1));
    const found: RegisteredModel[] = [];
    for (const { model } of models) {
      if (found.length >= query.limit) break;
      const latestVersion = (await this.#versions(model, options))[0]?.version;
      // A group whose first version was never made: whoever registers the model again makes it.
      if (latestVersion === undefined) continue;
      const { log } = await this.#decisions(model, options);
      found.push({ model, latestVersion, promotedVersion: log.at(-1)?.version });
    }
    return found;
  }

  async listVersions(
    model: ModelRef,
    query: { readonly before?: number; readonly limit: number },
    options: CallOptions = {},
  ): Promise<readonly ModelVersion[]> {
    throwIfAborted(options.signal);
    const { before = Infinity, limit } = query;
    const versions = (await this.#versions(model, options)).filter(({ version }) => version < before);
    const found: ModelVersion[] = [];
    for (const each of versions.slice(0, limit)) found.push(await this.#version(model, each, options));
    return found;
  }

  async promote(
    model: ModelRef,
    version: number,
    decision: ModelDecision,
    options: CallOptions & DecisionCondition = {},
  ): Promise<ModelVersion> {
    throwIfAborted(options.signal);
    await this.#requireVersion(model, version, options);
    return this.#decide(model, options, decision, (log) => promoted(log, version, decision, this.#clock.nowMs()));
  }

  async rollback(
    model: ModelRef,
    decision: ModelDecision,
    options: CallOptions & DecisionCondition = {},
  ): Promise<ModelVersion> {
    throwIfAborted(options.signal);
    const key = modelKey(model);
    return this.#decide(model, options, decision, (log) => rolledBack(log, decision, this.#clock.nowMs(), key));
  }

  async getPromoted(model: ModelRef, options: CallOptions = {}): Promise<ModelVersion | undefined> {
    throwIfAborted(options.signal);
    const present = (await this.#decisions(model, options)).log.at(-1);
    if (!present) return undefined;
    return this.#version(model, await this.#requireVersion(model, present.version, options), options);
  }

  async promotions(
    model: ModelRef,
    { limit }: { readonly limit: number },
    options: CallOptions = {},
  ): Promise<readonly ModelPromotion[]> {
    throwIfAborted(options.signal);
    const { log } = await this.#decisions(model, options);
    const newestFirst = log.toReversed().slice(0, limit);
    return newestFirst.map(({ version, atMs, kind, by, reason }) => ({ version, atMs, kind, by, reason }));
  }

  onChange(listener: () => void): () => void {
    return this.#changes.on(listener);
  }

  /** Lets go of connections, and tells nobody of changes any more. Idempotent. */
  close(): void {
    this.#changes.close();
    this.#packages.close();
  }

  /** Decides while no other client does; what the service shows follows, also what an earlier decision left behind. */
  async #decide(
    model: ModelRef,
    options: CallOptions & DecisionCondition,
    { by, reason }: ModelDecision,
    decide: (log: DecisionLog) => DecisionLog,
  ): Promise<ModelVersion> {
    const decided = await this.#alone(model, options, async () => {
      const { log, saved } = await this.#decisions(model, options);
      requirePromoted(options.expectedPromoted, log.at(-1)?.version);
      const next = decide(log);
      const { version } = next.at(-1)!;
      const summaries = await this.#versions(model, options);
      const summary = summaries.find((each) => each.version === version);
      if (!summary) throw absent(model, version);
      if (next !== log) await this.#checkpoints.save(this.#nameOf(model), bytesOf(next), saved, only(options));
      // SageMaker refuses a description of several lines.
      const why = `${by}: ${reason}`.replaceAll(/\s+/g, ' ').slice(0, REASON_CHARACTERS);
      for (const each of summaries)
        if (each.isApproved !== (each === summary)) await this.#approve(model, each, each === summary, why, options);
      return this.#version(model, summary, options);
    });
    await this.#changes.tell(modelKey(model));
    return decided;
  }

  async #approve(
    model: ModelRef,
    { arn, version }: PackageSummary,
    isApproved: boolean,
    why: string,
    options: CallOptions,
  ): Promise<void> {
    const what = `approve ${modelKey(model)} version ${version}`;
    const properties = await this.#call(what, options, (signal) => this.#packages.properties(arn, signal));
    await this.#call(what, options, (signal) => this.#packages.approve(arn, { isApproved, why, properties }, signal));
  }

  /** Does it while no other client changes the model. */
  async #alone<Result>(
    model: ModelRef,
    options: CallOptions,
    work: (renew: () => Promise<void>) => Promise<Result>,
  ): Promise<Result> {
    const lease = await this.#acquire(model, options);
    try {
      return await work(() => this.#checkpoints.renewLease(lease, LEASE_MS, only(options)));
    } finally {
      // One that cannot be given back ends by itself.
      await this.#checkpoints.releaseLease(lease).catch(() => undefined);
    }
  }

  async #acquire(model: ModelRef, options: CallOptions): Promise<Lease> {
    const holder = randomUUID();
    const untilMs = this.#clock.monotonicMs() + LEASE_WAIT_MS;
    for (;;) {
      throwIfAborted(options.signal);
      const lease = await this.#checkpoints.acquireLease(this.#nameOf(model), holder, LEASE_MS, only(options));
      if (lease) return lease;
      if (this.#clock.monotonicMs() > untilMs)
        throw new PortError(
          'unavailable',
          `another process has been changing ${modelKey(model)} for ${LEASE_WAIT_MS} ms`,
        );
      await sleep(LEASE_RETRY_MS);
    }
  }

  async #makeGroup(model: ModelRef, options: CallOptions): Promise<void> {
    const name = this.#groupOf(model);
    const what = `make the model package group ${name}`;
    const there = this.#call(what, options, (signal) => this.#packages.describeGroup(name, signal));
    if (await orAbsent(there)) return;
    const description = JSON.stringify(model);
    await this.#call(what, options, (signal) => this.#packages.createGroup({ name, description }, signal));
  }

  async #decisions(
    model: ModelRef,
    options: CallOptions,
  ): Promise<{ readonly log: DecisionLog; readonly saved: number }> {
    const checkpoint = await this.#checkpoints.load(this.#nameOf(model), only(options));
    const log = checkpoint ? (JSON.parse(textOf(checkpoint.state)!) as DecisionLog) : [];
    return { log, saved: checkpoint?.version ?? 0 };
  }

  async #noteChange(mark: string): Promise<void> {
    const saved = (await this.#checkpoints.load(this.#changesName))?.version ?? 0;
    try {
      await this.#checkpoints.save(this.#changesName, Buffer.from(mark), saved);
    } catch (error) {
      // Another's mark, which was set after this change, tells of it too.
      if (!isPortError(error) || error.code !== 'failed_precondition') throw error;
    }
  }

  /** Newest first. */
  async #versions(model: ModelRef, options: CallOptions): Promise<readonly PackageSummary[]> {
    const listing = this.#call(`list versions of ${modelKey(model)}`, options, (signal) =>
      this.#packages.packages(this.#groupOf(model), signal),
    );
    return (await orAbsent(listing)) ?? [];
  }

  async #requireVersion(model: ModelRef, version: number, options: CallOptions): Promise<PackageSummary> {
    const found = (await this.#versions(model, options)).find((each) => each.version === version);
    if (!found) throw absent(model, version);
    return found;
  }

  async #version(model: ModelRef, { arn, version }: PackageSummary, options: CallOptions): Promise<ModelVersion> {
    const what = `${modelKey(model)} version ${version}`;
    const properties = await this.#call(`read ${what}`, options, (signal) => this.#packages.properties(arn, signal));
    return { model, version, ...recordOf(properties, what) };
  }

  #checkCount(model: ModelRef, { length }: readonly PackageSummary[]): void {
    if (length < this.#config.maxVersionsPerModel) return;
    throw new PortError('resource_exhausted', `${modelKey(model)} has ${length} versions`);
  }

  /** Groups have names of at most 63 letters and digits: of a tenant and a model their digests. */
  #groupsOf(tenant: string): string {
    return `${this.#config.groupPrefix}-${digest(tenant, 10)}-`;
  }

  #groupOf(model: ModelRef): string {
    return this.#groupsOf(model.tenant) + digest(modelKey(model), 30);
  }

  #nameOf(model: ModelRef): string {
    return `model-registry.${this.#groupOf(model)}`;
  }

  get #changesName(): string {
    return `model-registry.${this.#config.groupPrefix}`;
  }

  #call<Result>(
    what: string,
    { signal }: CallOptions,
    call: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    return awsCall({ what: `${what} in SageMaker`, timeoutMs: this.#config.timeoutMs, signal, codes: CODES }, call);
  }
}

/** SageMaker tells of a group that is not there as of any other wrong argument. */
async function orAbsent<Result>(call: Promise<Result>): Promise<Result | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isPortError(error) && (error.code === 'not_found' || /does not exist/i.test(error.message))) return undefined;
    throw error;
  }
}

function absent(model: ModelRef, version: number): PortError {
  return new PortError('not_found', `${modelKey(model)} has no version ${version}`);
}

function requirePromoted(expected: number | undefined, present: number | undefined): void {
  if (expected === undefined || expected === (present ?? 0)) return;
  const what = present === undefined ? 'no version is' : `version ${present} is`;
  throw new PortError('failed_precondition', `${what} promoted, not the expected one`);
}

/** Undefined for a group that somebody else has made. */
function modelOf(description: string): ModelRef | undefined {
  try {
    return JSON.parse(description) as ModelRef;
  } catch {
    return undefined;
  }
}

/** `arn:aws:sagemaker:eu-central-1:123456789012:model-package/<group>/<version>`. */
function versionOfArn(arn: string): number {
  return Number(arn.slice(arn.lastIndexOf('/') + 1));
}

function digest(text: string, characters: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, characters);
}

function only({ signal }: CallOptions): CallOptions {
  return signal ? { signal } : {};
}

function bytesOf(log: DecisionLog): Uint8Array {
  return Buffer.from(JSON.stringify(log));
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('utf8');
}
