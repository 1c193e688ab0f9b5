import type { DeviceIntake, DeviceMessage, IntakeReceipt } from '#core/ports/device-gateway.ts';
import { connectPort } from './port-client.ts';

/** The sockets by which the process that owns intake offers it, and what it sees live. */
export const INTAKE_PORT = 'intake';
export const LIVE_PORT = 'live';

const PROBE_EVERY_MS = 500;

/** Intake with methods alone, as {@link servePort} can offer it. */
interface ServedIntake {
  accept(message: DeviceMessage): Promise<IntakeReceipt>;
  isReady(): Promise<boolean>;
}

export function servedIntake(intake: DeviceIntake): ServedIntake {
  return { accept: (message) => intake.accept(message), isReady: async () => intake.ready };
}

/** Intake of another process. Whether it is ready is asked twice a second; one that does not answer is not. */
export function connectIntake(path: string): DeviceIntake & { disconnect(): void } {
  const port = connectPort<ServedIntake>(path, 'intake', { waitMs: 1000 });
  let ready = true;
  const waiting: (() => void)[] = [];
  const probe = async () => {
    ready = await port.isReady().catch(() => false);
    if (ready) for (const resolve of waiting.splice(0)) resolve();
  };
  const timer = setInterval(() => void probe(), PROBE_EVERY_MS);
  return {
    accept: (message) => port.accept(message),
    get ready() {
      return ready;
    },
    whenReady: () => (ready ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    disconnect: () => {
      clearInterval(timer);
      port.disconnect();
    },
  };
}
