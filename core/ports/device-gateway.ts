import type { CallOptions } from '../errors.ts';
import type { DeviceId, MachineKey, TenantId } from '../domain/ids.ts';
import type { RefusalReason } from '../ingestion/intake-counters.ts';
import type { TopicMapping } from '../ingestion/mapping.ts';
import type { Rejection } from '../domain/reading.ts';
import type { Device } from './device-registry.ts';

/** Where devices connect. It authenticates them, checks device x machine, and hands what they send to the intake. */
export interface DeviceGateway {
  /** What a device's acknowledgement means here (ledger.md). */
  readonly ackMeans: 'tribo-durable' | 'provider-accepted';
  /** The TCP port that it listens on, 0 while it does not; absent where devices connect to the provider. */
  readonly port?: number;
  /**
   * Starts to take what devices send. Once only.
   * @throws PortError failed_precondition when the port is taken (the message names port and setting); where devices connect to a provider:
   * unavailable, permission_denied, or failed_precondition where it lacks what is needed.
   */
  start(intake: DeviceIntake, presence: PresenceListener, options?: CallOptions): Promise<void>;
  /**
   * Sends a command to whichever device speaks for the machine. Resolves once it is kept durably: for a device that is away until it
   * expires. The same id twice, while the first waits, is sent once.
   * @throws PortError not_found where no device speaks for the machine; failed_precondition where it is away and the gateway keeps nothing;
   * resource_exhausted where too many wait for it; invalid_argument for one that is too large or has expired.
   */
  sendCommand(machine: MachineKey, command: DeviceCommand, options?: CallOptions): Promise<void>;
  /**
   * Why what devices send does not come in for the moment, in words for an operator; undefined while it does. Absent where devices connect to
   * the gateway itself.
   */
  problem?(): string | undefined;
  /** Stops accepting, acknowledges what is durable, closes connections. */
  close(): Promise<void>;
}

/** Makes the provider's gateway for the intake that stands behind it. */
export type MakeDeviceGateway = (hooks: GatewayHooks) => DeviceGateway;

/** How a device connects by MQTT where that is elsewhere than at the platform's own broker. */
export interface DeviceConnection {
  /** `mqtts://host:port` */
  readonly url: string;
  readonly mqttVersion: '3.1.1' | '5';
  readonly clientId: string;
  /** PEM file of the authority to trust, as the platform has it; absent where systems know it. */
  readonly caFile?: string;
  /** Which certificate it shows: one that the site's own authority issued, or its secret, which is certificate and key. */
  readonly certificate?: 'issued by the site' | 'the secret';
  readonly username?: string;
  readonly password?: string;
  /** Milliseconds since 1970. */
  readonly passwordExpiresMs?: number;
  /** Where it publishes telemetry, one for each of its machines. */
  readonly telemetryTopics: readonly string[];
  readonly commandTopics: readonly string[];
  /** Whether its secret is a password that the platform's HTTP API takes, too. */
  readonly isKnownToHttp: boolean;
}

/** Tells how a device connects that was just given the secret. */
export type DescribeConnection = (device: Device, secret: string, nowMs: number) => DeviceConnection;

/** What a gateway tells besides the messages it hands on, and what it is told of this site. */
export interface GatewayHooks {
  /** How foreign topics are read; without it they are refused. */
  readonly mapping?: TopicMapping;
  /** Counts what was turned away without an acknowledgement. */
  readonly refuse: (reason: RefusalReason, tenant?: TenantId) => void;
  /** Hears of what went wrong without a caller to tell. */
  readonly onProblem: (what: string, error: unknown) => void;
}

/** The use case behind every gateway: core/ingestion implements it. */
export interface DeviceIntake {
  /**
   * Resolves once every accepted item is durable: only then may the gateway acknowledge. Never throws for bad content: that is
   * acknowledged and rejected.
   * @throws PortError resource_exhausted or unavailable: not accepted, the device should try again later. Messages of one kind may be refused
   * while those of the other are accepted. What is offered in one turn of the event loop keeps its order: with a message are refused those of its
   * machine and kind that were offered behind it.
   */
  accept(message: DeviceMessage): Promise<IntakeReceipt>;
  /**
   * Whether messages of the kind are taken; without a kind, those of any. While none are, a gateway stops reading from its connections.
   */
  isReady(kind?: IntakeKind): boolean;
  /** Resolves when {@link isReady} turns true. */
  whenReady(kind?: IntakeKind): Promise<void>;
}

/** What intake takes or refuses by itself, each by the consumers behind it. */
export type IntakeKind = 'telemetry' | 'waveform';

/** One message as it came in, from a sender that may speak for the machine. */
export interface DeviceMessage {
  readonly tenant: TenantId;
  readonly machine: MachineKey;
  /** Who authenticated: a device, or an API client. */
  readonly sender: DeviceId | string;
  readonly content: MessageContent;
  /** True for data that comes late on purpose: any age is accepted and no live alarm is raised. */
  readonly imported?: boolean;
  readonly traceparent?: string;
}

/** What a message carries, by how it is to be read. */
export type MessageContent =
  /** One JSON message or an array of at most 1,000 (wire.md). */
  | { readonly kind: 'telemetry'; readonly payload: Uint8Array }
  /** JSON with base64 samples. */
  | { readonly kind: 'waveform-json'; readonly sensor: string; readonly payload: Uint8Array }
  /** Raw samples, described by query parameters. */
  | {
      readonly kind: 'waveform-raw';
      readonly sensor: string;
      readonly description: Readonly<Record<string, string>>;
      readonly payload: Uint8Array;
    }
  /** A foreign payload that the site's mapping file could not read: acknowledged and rejected for the machine it is attributed to. */
  | { readonly kind: 'unmapped'; readonly payload: Uint8Array; readonly rejection: Rejection };

/** What became of the items of one acknowledged message. */
export interface IntakeReceipt {
  readonly accepted: number;
  readonly duplicate: number;
  readonly rejected: readonly Rejection[];
}

/** Whether a device, or a machine behind it, is there. */
export interface DevicePresence {
  readonly device: DeviceId;
  /** Of `connection`: all that the device is bound to. Of `status`: the one whose status topic said it. */
  readonly machines: readonly MachineKey[];
  readonly by: 'connection' | 'status';
  readonly online: boolean;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** Hears which devices are there. */
export interface PresenceListener {
  /** A device came, went, or said so by its status topic. */
  presence(event: DevicePresence): void;
}

/** Something for a machine to do. It is dropped, unsent, after `expiresAtMs` (milliseconds since 1970). */
export interface DeviceCommand {
  readonly id: string;
  readonly payload: Uint8Array;
  readonly expiresAtMs: number;
}
