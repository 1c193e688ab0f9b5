import { join } from 'node:path';
import type { z } from 'zod';
import { JwksIdentityVerifier } from '#adapters/oidc/jwks-identity-verifier/jwks-identity-verifier.ts';
import { jwksIdentityVerifierConfigSchema } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import { systemClock } from '#core/clock.ts';
import type { StreamName } from '#core/domain/event.ts';
import { PortError } from '#core/errors.ts';
import type { NoticeKind } from '#core/ports/alarm-journal.ts';
import { isPublished, serveIssuer } from '../issuer-server.ts';
import { providerModule, type ProviderModule } from '../provider-module.ts';
import { AedesDeviceGateway } from './aedes-device-gateway/aedes-device-gateway.ts';
import { aedesDeviceGatewayConfigSchema, type OnTlsRenewal } from './aedes-device-gateway/config.ts';
import { DuckDbTimeSeriesStore } from './duckdb-time-series-store/duckdb-time-series-store.ts';
import { FileObjectStore } from './file-object-store/file-object-store.ts';
import { FileSecretStore } from './file-secret-store/file-secret-store.ts';
import { DEFAULT_RETENTION } from './lmdb-event-stream/config.ts';
import { LmdbEventStream } from './lmdb-event-stream/lmdb-event-stream.ts';
import { localTokenIssuerConfigSchema } from './local-token-issuer/config.ts';
import { LogNotifier, type NotificationLog } from './log-notifier/log-notifier.ts';
import { smtpNotifierConfigSchema } from './smtp-notifier/config.ts';
import { SmtpNotifier } from './smtp-notifier/smtp-notifier.ts';
import { webhookNotifierConfigSchema } from './webhook-notifier/config.ts';
import { WebhookNotifier } from './webhook-notifier/webhook-notifier.ts';
import { TOKENS_FILE } from './local-token-issuer/listed-tokens.ts';
import { LocalTokenIssuer } from './local-token-issuer/local-token-issuer.ts';
import { onnxModelInferenceConfigSchema } from './onnx-model-inference/config.ts';
import { OnnxModelInference } from './onnx-model-inference/onnx-model-inference.ts';
import { SqliteAlarmJournal } from './sqlite-alarm-journal/sqlite-alarm-journal.ts';
import { sqliteAlarmJournalConfigSchema } from './sqlite-alarm-journal/config.ts';
import { SqliteAuditTrail } from './sqlite-audit-trail/sqlite-audit-trail.ts';
import { sqliteAuditTrailConfigSchema } from './sqlite-audit-trail/config.ts';
import { SqliteCheckpointStore } from './sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { sqliteDeviceRegistryConfigSchema } from './sqlite-device-registry/config.ts';
import { SqliteDeviceRegistry } from './sqlite-device-registry/sqlite-device-registry.ts';
import { sqliteMachineRegistryConfigSchema } from './sqlite-machine-registry/config.ts';
import { SqliteMachineRegistry } from './sqlite-machine-registry/sqlite-machine-registry.ts';
import { sqliteModelRegistryConfigSchema } from './sqlite-model-registry/config.ts';
import { SqliteModelRegistry } from './sqlite-model-registry/sqlite-model-registry.ts';
import { sqliteRuleStoreConfigSchema } from './sqlite-rule-store/config.ts';
import { SqliteRuleStore } from './sqlite-rule-store/sqlite-rule-store.ts';

export interface EmbeddedSettings {
  readonly dataDir: string;
  /** The name under which this process publishes; unique among the platform's processes. */
  readonly processName: string;
  /** The streams that this process publishes to, each of which one process at a time can. Default: all. */
  readonly publishes?: readonly StreamName[] | undefined;
  readonly streamRetentionMs: number;
  readonly streamMaxBytes: number;
  /** Takes the log notifier's lines; without it there is none. */
  readonly log?: NotificationLog;
  readonly webhook?: { readonly url: string; readonly secret: string; readonly events: NoticeKind[] };
  /** How devices connect: the MQTT broker's address, certificates and limits. */
  readonly gateway?: Omit<z.input<typeof aedesDeviceGatewayConfigSchema>, 'commandDatabasePath'>;
  readonly onTlsRenewal?: OnTlsRenewal;
  /** The origin of the page, for links in notifications. */
  readonly publicUrl?: string | undefined;
  readonly mail?: { readonly url: string; readonly from: string; readonly to: readonly string[] };
}

/** Every port of one machine: opened when it is first asked for, once a process. */
export function embeddedModule(settings: EmbeddedSettings): ProviderModule {
  const { dataDir, publicUrl } = settings;
  const clock = systemClock;
  const registry = { databasePath: join(dataDir, 'registry.db') };

  return providerModule(({ provide, closing }) => {
    provide('clock', () => clock);
    provide('eventStream', () =>
      closing(
        new LmdbEventStream(
          {
            directory: join(dataDir, 'streams'),
            source: settings.processName,
            streams: retention(settings),
            ...(settings.publishes && { publishes: settings.publishes }),
          },
          { clock },
        ),
      ),
    );
    provide('deviceGateway', async (get) => {
      const devices = await get('deviceRegistry');
      return (hooks) =>
        new AedesDeviceGateway(
          aedesDeviceGatewayConfigSchema.parse({
            ...settings.gateway,
            commandDatabasePath: join(dataDir, 'commands.db'),
          }),
          { ...hooks, devices, clock, onTlsRenewal: settings.onTlsRenewal },
        );
    });
    provide('timeSeriesStore', async () =>
      closing(await DuckDbTimeSeriesStore.open({ directory: join(dataDir, 'time-series') })),
    );
    provide('objectStore', () => FileObjectStore.open({ directory: join(dataDir, 'objects') }, clock));
    provide('secretStore', () => new FileSecretStore({ directory: join(dataDir, 'secrets') }));
    provide('checkpointStore', async () =>
      closing(await SqliteCheckpointStore.open({ databasePath: join(dataDir, 'state.db') }, clock)),
    );
    provide('machineRegistry', async () =>
      closing(await SqliteMachineRegistry.open(sqliteMachineRegistryConfigSchema.parse(registry))),
    );
    provide('deviceRegistry', async () =>
      closing(await SqliteDeviceRegistry.open(sqliteDeviceRegistryConfigSchema.parse(registry), clock)),
    );
    provide('ruleStore', async () =>
      closing(await SqliteRuleStore.open(sqliteRuleStoreConfigSchema.parse(registry), clock)),
    );
    provide('alarmJournal', async () =>
      closing(
        await SqliteAlarmJournal.open(
          sqliteAlarmJournalConfigSchema.parse({ databasePath: join(dataDir, 'alarms.db') }),
          clock,
        ),
      ),
    );
    provide('auditTrail', async () =>
      closing(
        await SqliteAuditTrail.open(sqliteAuditTrailConfigSchema.parse({ databasePath: join(dataDir, 'audit.db') })),
      ),
    );
    provide('modelRegistry', async (get) =>
      closing(
        await SqliteModelRegistry.open(
          sqliteModelRegistryConfigSchema.parse(registry),
          await get('objectStore'),
          clock,
        ),
      ),
    );
    provide('modelInference', () => closing(new OnnxModelInference(onnxModelInferenceConfigSchema.parse({}))));
    provide('notifiers', () => [
      ...(settings.log ? [new LogNotifier(settings.log)] : []),
      ...(settings.webhook
        ? [closing(new WebhookNotifier(webhookNotifierConfigSchema.parse({ ...settings.webhook, publicUrl }), clock))]
        : []),
      ...(settings.mail
        ? [closing(new SmtpNotifier(smtpNotifierConfigSchema.parse({ ...settings.mail, publicUrl })))]
        : []),
    ]);
    provide('tokenIssuer', async (get) =>
      closing(
        await LocalTokenIssuer.open(localTokenIssuerConfigSchema.parse({ databasePath: join(dataDir, TOKENS_FILE) }), {
          secrets: await get('secretStore'),
          clock,
        }),
      ),
    );
    provide('identityVerifiers', async (get) => {
      const issuer = await get('tokenIssuer');
      if (!isPublished(issuer))
        throw new PortError('failed_precondition', "the site's own issuer says neither its name nor its keys");
      const { jwksUri } = closing(await serveIssuer(issuer));
      const { issuer: name, audience } = issuer;
      const config = jwksIdentityVerifierConfigSchema.parse({ issuer: name, audience, jwksUri });
      return [new JwksIdentityVerifier(config, { clock, isRevoked: (id) => issuer.isRevoked(id) })];
    });
  });
}

function retention({ streamRetentionMs, streamMaxBytes }: EmbeddedSettings): typeof DEFAULT_RETENTION {
  const bounded = Object.entries(DEFAULT_RETENTION).map(([name, each]) => [
    name,
    {
      maxAgeMs: Math.min(each.maxAgeMs, streamRetentionMs),
      maxBytes: Math.min(each.maxBytes, streamMaxBytes),
      hardMaxBytes: Math.min(each.hardMaxBytes, 2 * streamMaxBytes),
    },
  ]);
  return Object.fromEntries(bounded) as typeof DEFAULT_RETENTION;
}
