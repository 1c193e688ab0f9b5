import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { FileObjectStore } from '#adapters/embedded/file-object-store/file-object-store.ts';
import { FileSecretStore } from '#adapters/embedded/file-secret-store/file-secret-store.ts';
import { localTokenIssuerConfigSchema } from '#adapters/embedded/local-token-issuer/config.ts';
import { issuerDocument, serveIssuer } from '#adapters/issuer-server.ts';
import { LocalTokenIssuer } from '#adapters/embedded/local-token-issuer/local-token-issuer.ts';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import { onnxModelInferenceConfigSchema } from '#adapters/embedded/onnx-model-inference/config.ts';
import { OnnxModelInference } from '#adapters/embedded/onnx-model-inference/onnx-model-inference.ts';
import { sqliteAuditTrailConfigSchema } from '#adapters/embedded/sqlite-audit-trail/config.ts';
import { SqliteAuditTrail } from '#adapters/embedded/sqlite-audit-trail/sqlite-audit-trail.ts';
import { SqliteAlarmJournal } from '#adapters/embedded/sqlite-alarm-journal/sqlite-alarm-journal.ts';
import { sqliteDeviceRegistryConfigSchema } from '#adapters/embedded/sqlite-device-registry/config.ts';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { SqliteDeviceRegistry } from '#adapters/embedded/sqlite-device-registry/sqlite-device-registry.ts';
import { sqliteMachineRegistryConfigSchema } from '#adapters/embedded/sqlite-machine-registry/config.ts';
import { SqliteMachineRegistry } from '#adapters/embedded/sqlite-machine-registry/sqlite-machine-registry.ts';
import { sqliteRuleStoreConfigSchema } from '#adapters/embedded/sqlite-rule-store/config.ts';
import { SqliteModelRegistry } from '#adapters/embedded/sqlite-model-registry/sqlite-model-registry.ts';
import { sqliteModelRegistryConfigSchema } from '#adapters/embedded/sqlite-model-registry/config.ts';
import { SqliteRuleStore } from '#adapters/embedded/sqlite-rule-store/sqlite-rule-store.ts';
import { jwksIdentityVerifierConfigSchema } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import { JwksIdentityVerifier } from '#adapters/oidc/jwks-identity-verifier/jwks-identity-verifier.ts';
import { systemClock } from '#core/clock.ts';
import { until } from '#core/contracts/until.ts';
import type { Activation, PartDetails } from '#core/domain/alarm.ts';
import { machineKey, type MachineId, type MachineKey, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import type { Role } from '#core/domain/role.ts';
import { PortError } from '#core/errors.ts';
import { Intake } from '#core/ingestion/intake.ts';
import { LiveState } from '#core/live/live-state.ts';
import type { EventOutcome } from '#core/ports/time-series-store.ts';
import { DeclaredUnits } from '#core/settlement/declared-units.ts';
import { settlementOutcome } from '#core/settlement/outcomes.ts';
import { startApiGateway, type ApiGateway } from '#services/api-gateway/api-gateway.ts';
import type { ApiGatewaySettings } from '#services/api-gateway/config.ts';
import type { ApiGatewayDependencies } from '#services/api-gateway/services.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { Tracing } from '#services/shared/observability/tracing.ts';

export const NORTH = 'north' as TenantId;
export const SOUTH = 'south' as TenantId;
export const SITE = 'akron' as SiteId;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON. */
  readonly json: never;
}

export interface RequestOptions {
  readonly body?: unknown;
  /** Sent as it is, with this content type. */
  readonly raw?: { readonly type: string; readonly bytes: string | Uint8Array };
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A gateway on a free loopback port before the embedded adapters themselves, with two tenants that own a machine of the same name. What
 * is sent in is settled and seen live as in the platform.
 */
export class GatewayPlatform implements AsyncDisposable {
  readonly gateway: ApiGateway;
  readonly dependencies: ApiGatewayDependencies;
  readonly store: DuckDbTimeSeriesStore;
  readonly alarms: SqliteAlarmJournal;
  readonly live: LiveState;
  readonly stream: LmdbEventStream;
  readonly #issuer: LocalTokenIssuer;
  readonly #tokens = new Map<string, Promise<string>>();
  readonly #closers: readonly (() => Promise<void> | void)[];
  /** Outcomes of events in place of the ones that settlement decides. */
  readonly #overrides: Map<string, (outcome: EventOutcome) => EventOutcome>;

  static async start(
    settings: ApiGatewaySettings = {},
    change: (dependencies: ApiGatewayDependencies) => ApiGatewayDependencies = (same) => same,
  ): Promise<GatewayPlatform> {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-gateway-'));
    const databasePath = join(folder, 'state.db');
    const clock = systemClock;
    const store = await DuckDbTimeSeriesStore.open({ directory: join(folder, 'time-series') });
    const stream = new LmdbEventStream({
      directory: join(folder, 'streams'),
      source: 'test',
      streams: DEFAULT_RETENTION,
    });
    const machines = await SqliteMachineRegistry.open(sqliteMachineRegistryConfigSchema.parse({ databasePath }));
    const devices = await SqliteDeviceRegistry.open(sqliteDeviceRegistryConfigSchema.parse({ databasePath }));
    const alarms = await SqliteAlarmJournal.open({ databasePath, changePollMs: 20 }, clock);
    const rules = await SqliteRuleStore.open(sqliteRuleStoreConfigSchema.parse({ databasePath }), clock);
    const auditTrail = await SqliteAuditTrail.open(sqliteAuditTrailConfigSchema.parse({ databasePath }));
    const secrets = new FileSecretStore({ directory: join(folder, 'secrets') });
    const checkpoints = await SqliteCheckpointStore.open({ databasePath }, clock);
    const objects = new FileObjectStore({ directory: join(folder, 'objects') });
    const models = await SqliteModelRegistry.open(
      sqliteModelRegistryConfigSchema.parse({ databasePath }),
      objects,
      clock,
    );
    const inference = new OnnxModelInference(onnxModelInferenceConfigSchema.parse({}));
    const issuer = await LocalTokenIssuer.open(localTokenIssuerConfigSchema.parse({ databasePath }), {
      secrets,
      clock,
    });
    const issuerServer = await serveIssuer(issuer);
    const verifier = new JwksIdentityVerifier(
      jwksIdentityVerifierConfigSchema.parse({
        issuer: issuer.issuer,
        audience: 'tribo',
        jwksUri: issuerServer.jwksUri,
      }),
      { clock, isRevoked: (id) => issuer.isRevoked(id) },
    );
    for (const tenant of [NORTH, SOUTH]) {
      await machines.putMachine(tenant, SITE, machineSchema.parse({ id: 'press-7', class: 'press' }));
    }
    const live = new LiveState({ incarnation: 'test' });
    const onProblem = (what: string, error: unknown) => {
      throw new Error(what, { cause: error });
    };
    const units = new DeclaredUnits({ machines, clock, problems: { report: onProblem, solved: () => undefined } });
    await units.start();
    const overrides = new Map<string, (outcome: EventOutcome) => EventOutcome>();
    const subscriptions = await Promise.all(
      (['metrics', 'raw-waveform'] as const).map(async (name) => {
        await stream.declareGroup(name, 'store');
        return stream.subscribe(
          name,
          'store',
          async (batch) => {
            live.observe(batch.events);
            await units.learn(batch.events);
            const outcomes = batch.events.map((event) => {
              const outcome = settlementOutcome(event, (each) => units.of(each));
              return overrides.get(event.eventId)?.(outcome) ?? outcome;
            });
            await store.settle({ stream: name, group: 'store', fence: 1, outcomes });
            await batch.ack();
          },
          { maxBatchEvents: 1000 },
        );
      }),
    );
    const intake = new Intake({
      stream,
      machines,
      objects,
      clock,
      receiptKey: new Uint8Array(16),
      incarnation: 'test',
      onProblem,
    });
    await intake.start();
    const tracing = new Tracing({ service: 'test', sampleRatio: 0 });
    const dependencies = change({
      clock,
      logger: createLogger({ service: 'test', level: 'silent' }),
      tracing,
      metrics: createMetricsRegistry('test', { processMetrics: false }),
      intake,
      machines,
      devices,
      store,
      objects,
      alarms,
      rules,
      auditTrail,
      models,
      inference,
      stream,
      commands: { sendCommand: () => Promise.reject(new PortError('unavailable', 'this test has no broker')) },
      alerting: {
        judgeAgain: () => Promise.reject(new PortError('unavailable', 'this test judges nothing')),
        learning: () => Promise.reject(new PortError('unavailable', 'this test judges nothing')),
      },
      live: [live],
      secrets,
      checkpoints,
      verifier,
      issuer,
      issuerDocument: (path, baseUrl) => issuerDocument(issuer, path, baseUrl),
    });
    const gateway = await startApiGateway(
      { port: 0, tenant: NORTH, checkResponses: true, ...settings, events: { sampleEveryMs: 50, ...settings.events } },
      dependencies,
    );
    const closers = [
      () => gateway.close(),
      () => intake.stop(),
      ...subscriptions.map((each) => () => each.close()),
      () => stream.close(),
      () => store.close(),
      () => issuerServer.close(),
      () => issuer.close(),
      () => checkpoints.close(),
      () => alarms.close(),
      () => rules.close(),
      () => auditTrail.close(),
      () => models.close(),
      () => inference.close(),
      () => machines.close(),
      () => devices.close(),
      () => tracing[Symbol.asyncDispose](),
      () => units.close(),
      () => rmSync(folder, { recursive: true }),
    ];
    return new GatewayPlatform({ gateway, dependencies, store, alarms, live, stream, issuer, overrides, closers });
  }

  private constructor(parts: {
    readonly gateway: ApiGateway;
    readonly dependencies: ApiGatewayDependencies;
    readonly store: DuckDbTimeSeriesStore;
    readonly alarms: SqliteAlarmJournal;
    readonly live: LiveState;
    readonly stream: LmdbEventStream;
    readonly issuer: LocalTokenIssuer;
    readonly overrides: Map<string, (outcome: EventOutcome) => EventOutcome>;
    readonly closers: readonly (() => Promise<void> | void)[];
  }) {
    this.gateway = parts.gateway;
    this.dependencies = parts.dependencies;
    this.store = parts.store;
    this.alarms = parts.alarms;
    this.live = parts.live;
    this.stream = parts.stream;
    this.#issuer = parts.issuer;
    this.#overrides = parts.overrides;
    this.#closers = parts.closers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers) await close();
  }

  /** A bearer token, made once for each tenant and role. */
  token(role: Role, tenant: TenantId = NORTH): Promise<string> {
    const key = `${tenant} ${role}`;
    const known =
      this.#tokens.get(key) ??
      this.#issuer
        .issue({ tenant, subject: `${role}-client`, roles: [role], lifetimeMs: 600_000 })
        .then(({ token }) => token);
    this.#tokens.set(key, known);
    return known;
  }

  /** Calls the API as somebody of that role; without a role, as nobody. */
  async call(
    role: Role | 'nobody',
    method: string,
    path: string,
    options: RequestOptions = {},
    tenant: TenantId = NORTH,
  ): Promise<Answer> {
    const { body, raw, headers } = options;
    const response = await fetch(new URL(path, this.gateway.url), {
      method,
      redirect: 'manual',
      headers: {
        ...(role !== 'nobody' && { authorization: `Bearer ${await this.token(role, tenant)}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(raw && { 'content-type': raw.type }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(raw && { body: raw.bytes as never, duplex: 'half' }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      get json(): never {
        return JSON.parse(text) as never;
      },
    };
  }

  /** Sends readings of the tenant's press-7 and waits until they are settled. */
  async send(messages: readonly unknown[], tenant: TenantId = NORTH, machine = 'press-7'): Promise<Answer> {
    const body = { site: SITE, machine, messages };
    const answer = await this.call('ingest', 'POST', '/v1/telemetry', { body }, tenant);
    await this.settled(tenant);
    return answer;
  }

  /** Waits until the ledger has nothing pending. */
  async settled(tenant: TenantId = NORTH): Promise<void> {
    await until(async () => {
      const ledger = (await this.call('viewer', 'GET', '/v1/ledger', {}, tenant)).json as { pending: number };
      return ledger.pending === 0;
    });
  }

  /** Makes the event with that id settle as something else. */
  settleAs(eventId: string, change: (outcome: EventOutcome) => EventOutcome): void {
    this.#overrides.set(eventId, change);
  }

  /** Raises an alarm on the tenant's press-7; gives its id. */
  async raise(
    id: string,
    more: Partial<PartDetails> = {},
    tenant: TenantId = NORTH,
    atMs = Date.now(),
    notify: readonly string[] = [],
  ): Promise<string> {
    const part: PartDetails = {
      key: `high|velocity_rms|${id}`,
      kind: 'threshold',
      rule: { id: 'high', version: 1 },
      title: 'Velocity too high',
      message: 'velocity_rms 7.4 mm/s is above 7.1 mm/s',
      consequence: 'The bearing fails.',
      response: 'Inspect the bearing.',
      priority: 'high',
      severity: 625,
      latching: false,
      metric: 'velocity_rms',
      value: 7.4,
      limit: 7.1,
      unit: 'mm/s',
      window: { fromMs: atMs - 1000, toMs: atMs },
      ...more,
    };
    const activation: Activation = { type: 'activate', id, atMs, machine: pressOf(tenant), part, replayed: false };
    const [result] = await this.alarms.record([activation], { correlationWindowMs: 0, notify });
    if (result?.outcome !== 'recorded') throw new Error(`not raised: ${JSON.stringify(result)}`);
    return result.alarm.id;
  }

  /** As {@link raise}, and that notifier is to be told. */
  raiseAndNotify(id: string, notifier: string): Promise<string> {
    return this.raise(id, {}, NORTH, Date.now(), [notifier]);
  }
}

export function pressOf(tenant: TenantId): MachineKey {
  return machineKey(tenant, SITE, 'press-7' as MachineId);
}
