import type { Clock } from '../clock.ts';
import type { AlarmJournal, AlarmOutbox, Announcements } from './alarm-journal.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { MakeDeviceGateway } from './device-gateway.ts';
import type { DeviceRegistry } from './device-registry.ts';
import type { EventStream } from './event-stream.ts';
import type { IssuerVerifier } from './identity-verifier.ts';
import type { MachineRegistry } from './machine-registry.ts';
import type { ModelInference } from './model-inference.ts';
import type { ModelRegistry } from './model-registry.ts';
import type { Notifier } from './notifier.ts';
import type { ObjectStore } from './object-store.ts';
import type { RuleStore } from './rule-store.ts';
import type { SecretStore } from './secret-store.ts';
import type { OwnedTimeSeriesStore } from './time-series-store.ts';
import type { TokenIssuer } from './token-issuer.ts';

/** The ports that a provider's module binds, by the name under which a composition asks for them. */
export interface BoundPorts {
  readonly clock: Clock;
  /** Makes the gateway that devices connect to. */
  readonly deviceGateway: MakeDeviceGateway;
  /** A service that needs an extra power of it asks for that by `streamWith` (core/delivery/stream-capabilities.ts). */
  readonly eventStream: EventStream;
  /** The store itself, for the one process that owns it; the others reach that process. */
  readonly timeSeriesStore: OwnedTimeSeriesStore;
  readonly objectStore: ObjectStore;
  readonly secretStore: SecretStore;
  readonly checkpointStore: CheckpointStore;
  readonly machineRegistry: MachineRegistry;
  readonly deviceRegistry: DeviceRegistry;
  readonly ruleStore: RuleStore;
  readonly alarmJournal: AlarmJournal & AlarmOutbox & Announcements;
  readonly auditTrail: AuditTrail;
  readonly modelRegistry: ModelRegistry;
  readonly modelInference: ModelInference;
  readonly notifiers: readonly Notifier[];
  readonly tokenIssuer: TokenIssuer;
  /** That of the site's own issuer, and one for each further issuer that the site trusts. */
  readonly identityVerifiers: readonly IssuerVerifier[];
}

/** The name of a port that a provider binds. */
export type PortName = keyof BoundPorts;

/** Every port by name: one that is missing here does not compile. */
export const PORT_NAMES = Object.keys({
  clock: true,
  deviceGateway: true,
  eventStream: true,
  timeSeriesStore: true,
  objectStore: true,
  secretStore: true,
  checkpointStore: true,
  machineRegistry: true,
  deviceRegistry: true,
  ruleStore: true,
  auditTrail: true,
  alarmJournal: true,
  modelRegistry: true,
  modelInference: true,
  notifiers: true,
  tokenIssuer: true,
  identityVerifiers: true,
} satisfies Record<PortName, true>) as readonly PortName[];

/** Another port of the site, whichever provider it has it from. */
export type GetPort = <Name extends PortName>(name: Name) => Promise<BoundPorts[Name]>;

/** The identifier that a container knows a port by. */
export function portToken(name: PortName): symbol {
  return Symbol.for(`tribo.port.${name}`);
}
