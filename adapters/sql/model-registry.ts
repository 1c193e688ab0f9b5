import { sql, type Kysely, type Selectable } from 'kysely';
import type { Clock } from '#core/clock.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import { PortError, type CallOptions } from '#core/errors.ts';
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
import type { Movable, MovablePort } from '#core/moving/movable.ts';
import { ModelArtifacts } from '../model-artifacts.ts';
import { abortable } from './abortable.ts';
import type { Migration } from './migrate.ts';
import { MovableTables, type MovedTable } from './movable-tables.ts';
import type { SqlDatabase } from './sql-database.ts';

interface ModelTable {
  key: string;
  tenant: string;
  name: string;
  machine: string | null;
  sensor: string | null;
  latest_version: number;
  /** The promotion in force: a row of model_promotion. */
  promotion: number | null;
  promoted_version: number | null;
}

interface VersionTable {
  key: string;
  version: number;
  sha256: string;
  artifact_bytes: number;
  registered_at_ms: number;
  /** JSON of {@link VersionRecord}. */
  record: string;
}

interface PromotionTable {
  key: string;
  /** Dense, from 1, for each model. */
  id: number;
  version: number;
  at_ms: number;
  kind: string;
  by_whom: string;
  reason: string;
  /** The promotion that a rollback of this one goes back to. */
  replaces: number | null;
}

type VersionRecord = Pick<ModelVersion, 'format' | 'inputs' | 'parameters' | 'provenance' | 'registeredBy'>;

export interface ModelSchema {
  model: ModelTable;
  model_version: VersionTable;
  model_promotion: PromotionTable;
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db, { text }) => {
      await sql`create table model (
        key ${text} primary key, tenant ${text} not null, name ${text} not null, machine ${text}, sensor ${text},
        latest_version integer not null, promotion integer, promoted_version integer)`.execute(db);
      await sql`create index model_tenant on model (tenant, key)`.execute(db);
      await sql`create table model_version (
        key ${text} not null, version integer not null, sha256 ${text} not null, artifact_bytes integer not null,
        registered_at_ms bigint not null, record ${text} not null, primary key (key, version), unique (key, sha256))`.execute(
        db,
      );
      await sql`create table model_promotion (
        key ${text} not null, id integer not null, version integer not null, at_ms bigint not null, kind ${text} not null,
        by_whom ${text} not null, reason ${text} not null, replaces integer, primary key (key, id))`.execute(db);
    },
  },
];

export const modelTables = { component: 'model-registry', migrations } as const;

const MOVED: readonly MovedTable[] = [
  {
    name: 'model',
    columns: ['key', 'tenant', 'name', 'machine', 'sensor', 'latest_version', 'promotion', 'promoted_version'],
    order: ['key'],
  },
  {
    name: 'model_version',
    columns: ['key', 'version', 'sha256', 'artifact_bytes', 'registered_at_ms', 'record'],
    order: ['key', 'version'],
  },
  {
    name: 'model_promotion',
    columns: ['key', 'id', 'version', 'at_ms', 'kind', 'by_whom', 'reason', 'replaces'],
    order: ['key', 'id'],
  },
];

/** Records of models in a database that several processes may open; artifacts in an object store, under their tenant and SHA-256. */
export class SqlModelRegistry implements ModelRegistry, MovablePort, AsyncDisposable {
  readonly movable: Movable;
  readonly #maxVersionsPerModel: number;
  readonly #database: SqlDatabase<ModelSchema>;
  readonly #artifacts: ModelArtifacts;
  readonly #clock: Clock;

  constructor(database: SqlDatabase<ModelSchema>, objects: ObjectStore, clock: Clock, maxVersionsPerModel: number) {
    this.#database = database;
    this.movable = new MovableTables(database, modelTables, MOVED);
    this.#artifacts = new ModelArtifacts(objects);
    this.#clock = clock;
    this.#maxVersionsPerModel = maxVersionsPerModel;
  }

  async register(model: ModelRef, draft: ModelDraft, { signal }: CallOptions = {}): Promise<ModelVersion> {
    return abortable(signal, async () => {
      const { format, inputs, parameters, provenance, registeredBy } = draft;
      const by = registeredBy === undefined ? {} : { registeredBy };
      const record: VersionRecord = { format, inputs, parameters, provenance, ...by };
      const { sha256, artifactBytes } = await this.#artifacts.keep(model, draft, signal);
      const row = {
        sha256,
        artifact_bytes: artifactBytes,
        registered_at_ms: this.#clock.nowMs(),
        record: JSON.stringify(record),
      };
      const version = await this.#database.write(modelKey(model), (db) => this.#insertVersion(db, model, row));
      return versionOf(model, version);
    });
  }

  async artifact(model: ModelRef, version: number, { signal }: CallOptions = {}): Promise<Uint8Array> {
    return abortable(signal, async () => {
      const { sha256 } = await this.#requireVersion(this.#database.kysely, model, version);
      return this.#artifacts.read({ model, version, sha256 }, signal);
    });
  }

  async listModels(query: ModelListQuery, { signal }: CallOptions = {}): Promise<readonly RegisteredModel[]> {
    return abortable(signal, async () => {
      let select = this.#database.kysely.selectFrom('model').selectAll().where('tenant', '=', query.tenant);
      if (query.name !== undefined) select = select.where('name', '=', query.name);
      if (query.machine !== undefined) select = select.where('machine', '=', query.machine);
      if (query.after !== undefined) select = select.where('key', '>', query.after);
      return (await select.orderBy('key').limit(query.limit).execute()).map(registeredModelOf);
    });
  }

  async listVersions(
    model: ModelRef,
    query: { readonly before?: number; readonly limit: number },
    { signal }: CallOptions = {},
  ): Promise<readonly ModelVersion[]> {
    return abortable(signal, async () => {
      let select = this.#database.kysely.selectFrom('model_version').selectAll().where('key', '=', modelKey(model));
      if (query.before !== undefined) select = select.where('version', '<', query.before);
      const rows = await select.orderBy('version', 'desc').limit(query.limit).execute();
      return rows.map((row) => versionOf(model, row));
    });
  }

  async promote(
    model: ModelRef,
    version: number,
    decision: ModelDecision,
    { signal, expectedPromoted }: CallOptions & DecisionCondition = {},
  ): Promise<ModelVersion> {
    return abortable(signal, async () => {
      const row = await this.#database.write(modelKey(model), async (db) => {
        const promoted = await this.#requireVersion(db, model, version);
        const { promotion, promoted_version } = await requireModel(db, model);
        requirePromoted(expectedPromoted, promoted_version);
        if (promoted_version !== version) {
          await this.#appendPromotion(db, model, { ...decision, version, kind: 'promote' }, promotion);
        }
        return promoted;
      });
      return versionOf(model, row);
    });
  }

  async rollback(
    model: ModelRef,
    decision: ModelDecision,
    { signal, expectedPromoted }: CallOptions & DecisionCondition = {},
  ): Promise<ModelVersion> {
    return abortable(signal, async () => {
      const row = await this.#database.write(modelKey(model), async (db) => {
        if (expectedPromoted !== undefined) {
          requirePromoted(expectedPromoted, (await requireModel(db, model)).promoted_version);
        }
        const before = await previousPromotion(db, model);
        if (!before) {
          throw new PortError('failed_precondition', `no version of ${modelKey(model)} was promoted before this one`);
        }
        await this.#appendPromotion(
          db,
          model,
          { ...decision, version: before.version, kind: 'rollback' },
          before.replaces,
        );
        return this.#requireVersion(db, model, before.version);
      });
      return versionOf(model, row);
    });
  }

  async getPromoted(model: ModelRef, { signal }: CallOptions = {}): Promise<ModelVersion | undefined> {
    return abortable(signal, async () => {
      const row = await this.#database.kysely
        .selectFrom('model')
        .innerJoin('model_version', (join) =>
          join
            .onRef('model_version.key', '=', 'model.key')
            .onRef('model_version.version', '=', 'model.promoted_version'),
        )
        .selectAll('model_version')
        .where('model.key', '=', modelKey(model))
        .executeTakeFirst();
      return row && versionOf(model, row);
    });
  }

  async promotions(
    model: ModelRef,
    { limit }: { readonly limit: number },
    { signal }: CallOptions = {},
  ): Promise<readonly ModelPromotion[]> {
    return abortable(signal, async () => {
      const rows = await this.#database.kysely
        .selectFrom('model_promotion')
        .selectAll()
        .where('key', '=', modelKey(model))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute();
      return rows.map(promotionOf);
    });
  }

  onChange(listener: () => void): () => void {
    return this.#database.onChange(listener);
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #insertVersion(
    db: Kysely<ModelSchema>,
    model: ModelRef,
    row: Omit<Selectable<VersionTable>, 'key' | 'version'>,
  ): Promise<Selectable<VersionTable>> {
    const key = modelKey(model);
    const versions = db.selectFrom('model_version').selectAll().where('key', '=', key);
    const same = await versions.where('sha256', '=', row.sha256).executeTakeFirst();
    if (same) return same;
    const latest = await db.selectFrom('model').select('latest_version').where('key', '=', key).executeTakeFirst();
    const version = (latest?.latest_version ?? 0) + 1;
    if (version > this.#maxVersionsPerModel) {
      throw new PortError('resource_exhausted', `${key} has ${this.#maxVersionsPerModel} versions`);
    }
    const { tenant, name, machine = null, sensor = null } = model;
    await db
      .insertInto('model')
      .values({ key, tenant, name, machine, sensor, latest_version: version })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ latest_version: version }))
      .execute();
    const inserted = { ...row, key, version };
    await db.insertInto('model_version').values(inserted).execute();
    return inserted;
  }

  async #requireVersion(db: Kysely<ModelSchema>, model: ModelRef, version: number): Promise<Selectable<VersionTable>> {
    const key = modelKey(model);
    const versions = db.selectFrom('model_version').selectAll().where('key', '=', key);
    const row = await versions.where('version', '=', version).executeTakeFirst();
    if (!row) throw new PortError('not_found', `${key} has no version ${version}`);
    return row;
  }

  async #appendPromotion(
    db: Kysely<ModelSchema>,
    model: ModelRef,
    { version, kind, by, reason }: Omit<ModelPromotion, 'atMs'>,
    replaces: number | null,
  ): Promise<void> {
    const key = modelKey(model);
    const newest = await db
      .selectFrom('model_promotion')
      .select('id')
      .where('key', '=', key)
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    const id = (newest?.id ?? 0) + 1;
    const at_ms = this.#clock.nowMs();
    await db
      .insertInto('model_promotion')
      .values({ key, id, version, kind, by_whom: by, reason, at_ms, replaces })
      .execute();
    await db.updateTable('model').set({ promotion: id, promoted_version: version }).where('key', '=', key).execute();
  }
}

async function requireModel(db: Kysely<ModelSchema>, model: ModelRef): Promise<Selectable<ModelTable>> {
  const row = await db.selectFrom('model').selectAll().where('key', '=', modelKey(model)).executeTakeFirst();
  if (!row) throw new PortError('not_found', `there is no model ${modelKey(model)}`);
  return row;
}

function requirePromoted(expected: number | undefined, promoted: number | null): void {
  if (expected === undefined || expected === (promoted ?? 0)) return;
  const present = promoted === null ? 'no version is' : `version ${promoted} is`;
  throw new PortError('failed_precondition', `${present} promoted, not the expected one`);
}

/** The promotion that the one in force took the place of. */
async function previousPromotion(
  db: Kysely<ModelSchema>,
  model: ModelRef,
): Promise<Selectable<PromotionTable> | undefined> {
  return db
    .selectFrom('model')
    .innerJoin('model_promotion as present', (join) =>
      join.onRef('present.key', '=', 'model.key').onRef('present.id', '=', 'model.promotion'),
    )
    .innerJoin('model_promotion as before', (join) =>
      join.onRef('before.key', '=', 'model.key').onRef('before.id', '=', 'present.replaces'),
    )
    .selectAll('before')
    .where('model.key', '=', modelKey(model))
    .executeTakeFirst();
}

function versionOf(model: ModelRef, row: Selectable<VersionTable>): ModelVersion {
  return {
    model,
    version: row.version,
    registeredAtMs: row.registered_at_ms,
    sha256: row.sha256,
    artifactBytes: row.artifact_bytes,
    ...(JSON.parse(row.record) as VersionRecord),
  };
}

function registeredModelOf(row: Selectable<ModelTable>): RegisteredModel {
  return {
    model: {
      name: row.name,
      tenant: row.tenant as TenantId,
      ...(row.machine !== null && { machine: row.machine as MachineKey }),
      ...(row.sensor !== null && { sensor: row.sensor }),
    },
    latestVersion: row.latest_version,
    promotedVersion: row.promoted_version ?? undefined,
  };
}

function promotionOf(row: Selectable<PromotionTable>): ModelPromotion {
  return {
    version: row.version,
    atMs: row.at_ms,
    kind: row.kind === 'rollback' ? 'rollback' : 'promote',
    by: row.by_whom,
    reason: row.reason,
  };
}
