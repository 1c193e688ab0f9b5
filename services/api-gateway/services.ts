import type { Registry } from 'prom-client';
import type { AlarmFigureReader } from '#core/alerting/alarm-figure-reader.ts';
import type { Clock } from '#core/clock.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { LiveFeed } from '#core/live/live-feed.ts';
import type { AlarmJournal, AlarmOutbox } from '#core/ports/alarm-journal.ts';
import type { AuditTrail } from '#core/ports/audit-trail.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { DescribeConnection, DeviceIntake } from '#core/ports/device-gateway.ts';
import type { DeviceRegistry } from '#core/ports/device-registry.ts';
import type { EventStream, MeasuredStream } from '#core/ports/event-stream.ts';
import type { IdentityVerifier, SignInIssuer } from '#core/ports/identity-verifier.ts';
import type { MachineRegistry } from '#core/ports/machine-registry.ts';
import type { ModelInference } from '#core/ports/model-inference.ts';
import type { ModelRegistry } from '#core/ports/model-registry.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { RuleStore } from '#core/ports/rule-store.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { TokenIssuer } from '#core/ports/token-issuer.ts';
import type { AlertingDesk } from '../shared/rpc/alerting-port.ts';
import type { CommandSender } from '../shared/rpc/intake-port.ts';
import type { Readiness, ReadinessCheck } from '../shared/http/readiness.ts';
import type { Logger } from '../shared/observability/logger.ts';
import type { Tracing } from '../shared/observability/tracing.ts';
import type { Authenticator } from './access/authenticator.ts';
import type { Sessions } from './access/sessions.ts';
import type { SignInAttempts } from './access/sign-in-attempts.ts';
import type { SignInCodes } from './access/sign-in-codes.ts';
import type { Auditor } from './audit/auditor.ts';
import type { ApiGatewayConfig } from './config.ts';
import type { DeadLetterDesk } from './dead-letter-desk.ts';
import type { EventHub } from './events/event-hub.ts';
import type { FleetSummary } from './fleet/fleet-summary.ts';
import type { BodyBudget } from './http/body-budget.ts';
import type { Certificates } from '../shared/tls/certificates.ts';
import type { IdempotencyStore } from './http/idempotency.ts';
import type { RateLimits } from './http/rate-limits.ts';
import type { LedgerReader } from './ledger-reader.ts';

/** What the gateway asks of the time-series store; writing is the business of its owner. */
export type ReadableStore = Pick<
  TimeSeriesStore,
  | 'settled'
  | 'lostEvents'
  | 'series'
  | 'latest'
  | 'waveforms'
  | 'waveform'
  | 'documents'
  | 'deadLetters'
  | 'deadLetter'
  | 'rejections'
  | 'settleDeadLetter'
>;

/** What the gateway needs of the rest of the platform: ports, in this process or reached over a socket. */
export interface ApiGatewayDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly metrics: Registry;
  readonly intake: DeviceIntake;
  readonly commands: CommandSender;
  readonly machines: MachineRegistry;
  readonly devices: DeviceRegistry;
  /** How devices connect; absent where that is the platform's own broker. */
  readonly describeConnection?: DescribeConnection;
  readonly store: ReadableStore;
  readonly objects: ObjectStore;
  readonly alarms: AlarmJournal & Pick<AlarmOutbox, 'deadMessages' | 'retryDead'>;
  /** Notifiers to be told of what people do with alarms. */
  readonly notifyOfChanges?: readonly string[];
  readonly rules: RuleStore;
  readonly auditTrail: AuditTrail;
  /** Absent where no models are used. */
  readonly models?: ModelRegistry;
  /** Proves a model before it is registered; absent where none may be. */
  readonly inference?: Pick<ModelInference, 'load'>;
  /** Whose accepted items the ledger begins with, whose groups’ lag `/metrics` tells, and which takes what comes of a replayed dead letter. */
  readonly stream: Pick<MeasuredStream & EventStream, 'acceptedItems' | 'lag' | 'publish'>;
  /** Takes that in place of the stream, where another process is the one that publishes features. */
  readonly features?: Pick<EventStream, 'publish'>;
  /** Judges what was dead-lettered once more. */
  readonly alerting: AlertingDesk;
  /** One a process that sees raw streams or devices. */
  readonly live: readonly LiveFeed[];
  readonly secrets: SecretStore;
  /** Keeps the sessions that were ended, and the codes of sign-in links, for all copies of the gateway. */
  readonly checkpoints: CheckpointStore;
  readonly verifier: IdentityVerifier;
  /** Where people sign in besides by one-time links; absent for nowhere. */
  readonly signInIssuers?: readonly SignInIssuer[];
  /** Absent where identities are made elsewhere: then there are no tokens to manage. */
  readonly issuer?: TokenIssuer;
  /** The issuer's public documents by path, where this gateway also publishes them. */
  readonly issuerDocument?: (path: string, baseUrl: string) => object | undefined;
  /** Messages that other gateways turned away without an acknowledgement, by tenant. */
  readonly refused?: () => Promise<ReadonlyMap<TenantId, number>>;
  /** Has the listener told of each certificate that takes the place of the one before. */
  readonly onTlsRenewal?: Certificates['onRenewal'];
  /** More reasons not to be ready. */
  readonly checks?: Readonly<Record<string, ReadinessCheck>>;
  /** What somebody has to look at although all works. */
  readonly attention?: Readonly<Record<string, ReadinessCheck>>;
}

/** What handlers work with. */
export interface GatewayServices extends ApiGatewayDependencies {
  readonly config: ApiGatewayConfig;
  readonly authenticator: Authenticator;
  readonly sessions: Sessions;
  readonly signInCodes: SignInCodes;
  readonly signInAttempts: SignInAttempts;
  readonly signInIssuers: readonly SignInIssuer[];
  readonly fleet: FleetSummary;
  readonly ledger: LedgerReader;
  readonly deadLetters: DeadLetterDesk;
  readonly alarmFigures: AlarmFigureReader;
  readonly auditor: Auditor;
  readonly events: EventHub;
  readonly readiness: Readiness;
  readonly bodies: BodyBudget;
  readonly idempotency: IdempotencyStore;
  readonly rateLimits: RateLimits;
}
