import type { TenantId } from '#core/domain/ids.ts';
import { BackPressure, INTAKE_KINDS } from '#core/ingestion/back-pressure.ts';
import type {
  DeviceGateway,
  DeviceIntake,
  DeviceMessage,
  IntakeKind,
  IntakeReceipt,
} from '#core/ports/device-gateway.ts';
import { connectPort } from './port-client.ts';

/** The sockets by which the process that owns intake offers it, and what it sees live. */
export const INTAKE_PORT = 'intake';
export const LIVE_PORT = 'live';

const PROBE_EVERY_MS = 500;

/** The way to devices, where it alone is wanted of their gateway. */
export type CommandSender = Pick<DeviceGateway, 'sendCommand'>;

/** Intake, and the way back to devices, with methods alone, as {@link servePort} can offer it. */
interface ServedIntake extends CommandSender {
  accept(message: DeviceMessage): Promise<IntakeReceipt>;
  isReady(kind: IntakeKind): Promise<boolean>;
  refused(): Promise<ReadonlyMap<TenantId, number>>;
}

/** @param refused messages and connections that were turned away unacknowledged, by tenant */
export function servedIntake(
  intake: DeviceIntake,
  refused: () => ReadonlyMap<TenantId, number>,
  devices: CommandSender,
): ServedIntake {
  return {
    accept: (message) => intake.accept(message),
    isReady: async (kind) => intake.isReady(kind),
    refused: async () => refused(),
    sendCommand: (machine, command, options) => devices.sendCommand(machine, command, options),
  };
}

export interface ConnectedIntake extends DeviceIntake, CommandSender {
  /** Messages and connections that the other process turned away unacknowledged, by tenant. @throws PortError unavailable */
  refused(): Promise<ReadonlyMap<TenantId, number>>;
  disconnect(): void;
}

/** Intake of another process. Whether it is ready is asked twice a second; one that does not answer is not. */
export function connectIntake(path: string): ConnectedIntake {
  const port = connectPort<ServedIntake>(path, 'intake', { waitMs: 1000 });
  const pressure = new BackPressure<'refused'>();
  const probe = async () => {
    for (const kind of INTAKE_KINDS) {
      const isReady = await port.isReady(kind).catch(() => false);
      pressure.set('refused', !isReady, kind);
    }
  };
  const timer = setInterval(() => void probe(), PROBE_EVERY_MS);
  return {
    accept: (message) => port.accept(message),
    refused: () => port.refused(),
    sendCommand: (...given) => port.sendCommand(...given),
    isReady: (kind) => pressure.isOpen(kind),
    whenReady: (kind) => pressure.whenOpen(kind),
    disconnect: () => {
      clearInterval(timer);
      port.disconnect();
    },
  };
}
