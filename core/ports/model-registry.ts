import type { MachineKey, TenantId } from '../domain/ids.ts';
import type { CallOptions } from '../errors.ts';

/**
 * Versions of models with their provenance, and which version of each is promoted: the one that consumers run. Versions are immutable;
 * promotion is history that is only appended to.
 */
export interface ModelRegistry {
  /**
   * Adds a version. Resolves once artifact and record are durable: a version that is listed has its artifact. Registering the same
   * bytes for the same model again returns the version there is, so that a training that is repeated after a crash adds none.
   * @throws PortError invalid_argument (a name, an empty or too large artifact), resource_exhausted (too many versions, disk full), unavailable.
   */
  register(model: ModelRef, draft: ModelDraft, options?: CallOptions): Promise<ModelVersion>;

  /** The artifact's bytes, checked against the version's SHA-256. @throws PortError not_found (no such version), data_loss (bytes gone or changed). */
  artifact(model: ModelRef, version: number, options?: CallOptions): Promise<Uint8Array>;

  /** Models of the tenant in order of {@link modelKey}, strictly after `after`. */
  listModels(query: ModelListQuery, options?: CallOptions): Promise<readonly RegisteredModel[]>;

  /** Versions of the model, newest first, strictly older than `before`. */
  listVersions(
    model: ModelRef,
    query: { readonly before?: number; readonly limit: number },
    options?: CallOptions,
  ): Promise<readonly ModelVersion[]>;

  /**
   * Makes the version the promoted one. Promoting the promoted version again changes nothing.
   * @throws PortError not_found, failed_precondition (another version is promoted than expected).
   */
  promote(
    model: ModelRef,
    version: number,
    decision: ModelDecision,
    options?: CallOptions & DecisionCondition,
  ): Promise<ModelVersion>;

  /**
   * Goes back to the version that was promoted before the present one; a second rollback goes back one further.
   * @throws PortError failed_precondition (nothing was promoted before, or another version is promoted than expected).
   */
  rollback(model: ModelRef, decision: ModelDecision, options?: CallOptions & DecisionCondition): Promise<ModelVersion>;

  /** The promoted version of exactly this model, or undefined where none is. */
  getPromoted(model: ModelRef, options?: CallOptions): Promise<ModelVersion | undefined>;

  /** Promotions and rollbacks, newest first. */
  promotions(
    model: ModelRef,
    query: { readonly limit: number },
    options?: CallOptions,
  ): Promise<readonly ModelPromotion[]>;

  /** Calls back, soon and at least once, after any change of versions or promotions; returns how to stop. */
  onChange(listener: () => void): () => void;
}

/** A model by name, for a whole tenant, for one machine, or for one sensor of a machine of that tenant. */
export interface ModelRef {
  /** 1 to 64 of `A-Z a-z 0-9 _ . -`, for instance `vibration-health`. */
  readonly name: string;
  readonly tenant: TenantId;
  readonly machine?: MachineKey;
  /** Only together with `machine`. */
  readonly sensor?: string;
}

/** `tenant/name`, `tenant/name/site/machine` or `tenant/name/site/machine/sensor`: unique, as names hold no slash. */
export function modelKey({ name, tenant, machine, sensor }: ModelRef): string {
  const scope = machine === undefined ? '' : machine.slice(machine.indexOf('/'));
  return `${tenant}/${name}${scope}${sensor === undefined ? '' : `/${sensor}`}`;
}

/** What is registered: everything a consumer needs to run the artifact, and an auditor to judge it. */
export interface ModelDraft {
  /** At most {@link MAX_ARTIFACT_BYTES}. */
  readonly artifact: Uint8Array;
  /** Media of the artifact. */
  readonly format: 'onnx';
  /** What each element of an input vector is, in order. */
  readonly inputs: readonly string[];
  /** JSON-able settings that go with the artifact but are no part of its graph, for instance the decision threshold. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly provenance: ModelProvenance;
  /** Who adds it; of the same bytes registered again, the first counts. Absent: a part of the platform, which the provenance names. */
  readonly registeredBy?: string;
}

/** How a version came to be. */
export interface ModelProvenance {
  /** What it was trained on, in words. */
  readonly trainedOn: string;
  /** Time range of the training data, milliseconds since 1970, and the number of vectors. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly samples: number;
  /** What trained it, and in which version. */
  readonly software: string;
  /** Figures of merit on the training or validation data, by name. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** A registered version: what was drafted, but for the artifact, which {@link ModelRegistry.artifact} gives. */
export interface ModelVersion extends Omit<ModelDraft, 'artifact'> {
  readonly model: ModelRef;
  /** Dense, from 1, for each model. */
  readonly version: number;
  readonly registeredAtMs: number;
  /** SHA-256 of the artifact, hexadecimal. */
  readonly sha256: string;
  readonly artifactBytes: number;
}

/** Who promotes a version or goes back, and why. */
export interface ModelDecision {
  /** A user, or the component that decides by policy. */
  readonly by: string;
  readonly reason: string;
}

/** When a decision holds: only while this version is promoted, so that two people do not undo each other. */
export interface DecisionCondition {
  /** Decides only while this version is promoted, 0 for none: what whoever decides has seen. */
  readonly expectedPromoted?: number;
}

/** One entry of the history of what was promoted. */
export interface ModelPromotion extends ModelDecision {
  readonly version: number;
  readonly atMs: number;
  readonly kind: 'promote' | 'rollback';
}

/** Models of one tenant; at most `limit`. */
export interface ModelListQuery {
  readonly tenant: TenantId;
  readonly name?: string;
  readonly machine?: MachineKey;
  /** A {@link modelKey}. */
  readonly after?: string;
  readonly limit: number;
}

/** A model with versions; undefined where none of them is promoted. */
export interface RegisteredModel {
  readonly model: ModelRef;
  readonly latestVersion: number;
  readonly promotedVersion: number | undefined;
}

/** 64 MiB. */
export const MAX_ARTIFACT_BYTES = 64 * 1024 * 1024;
