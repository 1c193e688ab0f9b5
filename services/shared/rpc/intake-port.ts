import type { TenantId } from '#core/domain/ids.ts';
import { BackPressure, INTAKE_KINDS } from '#core/ingestion/back-pressure.ts';
import type {
  DeviceGateway,
  DeviceIntake,
  DeviceMessage,
  IntakeKind,
  IntakeReceipt,
} from '#core/ports/device-gateway.ts';
import type { CopyOf, Links, PortOfService } from './links.ts';

/** The ports by which the process that owns intake offers it, and what it sees live. */
export const INTAKE_PORT = 'intake';
export const LIVE_PORT = 'live';

const PROBE_EVERY_MS = 500;

/** The way to devices, where it alone is wanted of their gateway. */
export type CommandSender = Pick<DeviceGateway, 'sendCommand'>;

/** Intake, and the way back to devices, with methods alone, as {@link servePort} can offer it. */
export interface ServedIntake extends CommandSender {
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
  /** Messages and connections that the copies turned away unacknowledged, by tenant; of one that is away what it said last. */
  refused(): Promise<ReadonlyMap<TenantId, number>>;
  disconnect(): void;
}

const INTAKE: PortOfService = { service: 'ingestion-service', port: INTAKE_PORT, name: 'intake' };

/** Intake of another process, or of any of its copies. Whether it is ready is asked twice a second; one that does not answer is not. */
export function connectIntake(links: Links): ConnectedIntake {
  const port = links.connect<ServedIntake>(INTAKE, { waitMs: 1000 });
  const counts = new RefusedCounts(links.copies<Pick<ServedIntake, 'refused'>>(INTAKE));
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
    refused: () => counts.sum(),
    sendCommand: (...given) => port.sendCommand(...given),
    isReady: (kind) => pressure.isOpen(kind),
    whenReady: (kind) => pressure.whenOpen(kind),
    disconnect: () => {
      clearInterval(timer);
      port.disconnect();
    },
  };
}

type Counts = ReadonlyMap<TenantId, number>;
/** Of so many copies the counts are known one by one; of those before, their sum. */
const MAX_COPIES_COUNTED = 256;

/** A copy counts from its start on: what one that is gone had counted stays in the sum. */
class RefusedCounts {
  readonly #copies: () => readonly CopyOf<Pick<ServedIntake, 'refused'>>[];
  readonly #byCopy = new Map<string, Counts>();
  #gone: Counts = new Map();

  constructor(copies: () => readonly CopyOf<Pick<ServedIntake, 'refused'>>[]) {
    this.#copies = copies;
  }

  async sum(): Promise<Counts> {
    await Promise.all(
      this.#copies().map(async ({ id, port }) => {
        const counts = await port.refused().catch(() => undefined);
        if (counts) this.#byCopy.set(id, counts);
      }),
    );
    for (const [oldest, counts] of this.#byCopy) {
      if (this.#byCopy.size <= MAX_COPIES_COUNTED) break;
      this.#gone = sumOf([this.#gone, counts]);
      this.#byCopy.delete(oldest);
    }
    return sumOf([this.#gone, ...this.#byCopy.values()]);
  }
}

function sumOf(counts: readonly Counts[]): Counts {
  const sum = new Map<TenantId, number>();
  for (const [tenant, count] of counts.flatMap((each) => [...each])) sum.set(tenant, (sum.get(tenant) ?? 0) + count);
  return sum;
}
