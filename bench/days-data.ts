import { METRICS, runLoad } from './load.ts';
import type { Device, RunningPlatform } from './running-platform.ts';

const DAY_S = 86_400;

export interface DaysData {
  readonly machines: number;
  readonly readings: number;
  readonly fromMs: number;
  readonly toMs: number;
  /** Until all of it was settled. */
  readonly seconds: number;
}

/** Sends a day's readings of each of the devices' machines, one a second with all metrics, up to now, as a site does that was cut off. */
export async function sendADaysData(platform: RunningPlatform, devices: readonly Device[]): Promise<DaysData> {
  const machines = devices.reduce((sum, { topics }) => sum + topics.length, 0);
  const perDevice = devices[0]!.topics.length;
  const toMs = Math.floor(Date.now() / 1000) * 1000;
  const fromMs = toMs - DAY_S * 1000;
  const began = performance.now();
  const { acknowledged } = await runLoad({
    port: platform.mqttPort,
    connections: devices,
    seconds: 3600,
    maxInFlight: 500,
    maxMessages: DAY_S * perDevice,
    past: { fromMs, stepMs: 1000 },
  });
  const { ledger } = await platform.settled(600_000);
  if (!ledger.exact || ledger.pending > 0) throw new Error(`the day's data did not settle: ${JSON.stringify(ledger)}`);
  const seconds = (performance.now() - began) / 1000;
  return { machines, readings: acknowledged * METRICS.length, fromMs, toMs, seconds };
}
