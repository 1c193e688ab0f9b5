import { describe, expect, it } from '@jest/globals';
import { loadPrices } from '#services/shared/environments/environment-files.ts';
import { sampleEnvironment } from '#test/support/sample-environment.ts';
import { CLOUDS, type Cloud } from './cloud.ts';
import type { Plan } from './plan.ts';
import { planAt } from './plan-at.ts';

const prices = loadPrices('environments/prices');
/** 200 devices, 1 KB each ten seconds, in the smallest form that a site has. */
const environment = sampleEnvironment({ sizes: 'small' });
/** A month of 730 hours at 20 readings a second. */
const THOUSANDS_OF_READINGS = 52_560;

const WITHIN = 0.02;

function usdOf(plan: Plan, named: readonly string[]): number {
  const lines = plan.lines.filter(({ what }) => named.some((name) => what.startsWith(name)));
  expect(lines).toHaveLength(named.length);
  return lines.reduce((sum, { usd }) => sum + usd, 0);
}

const batched = [
  { batching: 3, units: 2 },
  { batching: 4, units: 2 },
];

describe('200 devices that send 1 KB every ten seconds', () => {
  it.each<{ what: string; cloud: Cloud; named: readonly string[]; usd: number }>([
    { what: 'IoT Core messages', cloud: 'aws', named: ['IoT Core messages'], usd: 52.56 },
    { what: 'IoT Core connections', cloud: 'aws', named: ['IoT Core connections'], usd: 0.7 },
    { what: 'IoT Core rules', cloud: 'aws', named: ['IoT Core rule triggers', 'IoT Core rule actions'], usd: 15.77 },
    { what: 'a shard of Kinesis', cloud: 'aws', named: ['metrics: 1 shard'], usd: 10.95 },
    { what: 'PUT units of Kinesis', cloud: 'aws', named: ['metrics: put units'], usd: 0.74 },
    { what: 'five units of IoT Hub', cloud: 'azure', named: ['IoT Hub: 5 units S1'], usd: 125 },
    { what: 'a throughput unit', cloud: 'azure', named: ['Event Hubs: 1 throughput unit'], usd: 21.9 },
    { what: 'events of Event Hubs', cloud: 'azure', named: ['metrics: events'], usd: 1.47 },
    { what: 'Pub/Sub less what is free', cloud: 'gcp', named: ['Pub/Sub metrics', 'Pub/Sub: 10 GiB free'], usd: 5.48 },
  ])('pay $usd a month for $what', ({ cloud, named, usd }) => {
    const actual = usdOf(planAt(cloud, environment, prices), named);
    expect(Math.abs(actual / usd - 1)).toBeLessThan(WITHIN);
  });

  it.each(batched)(
    'pay $50 for $units units of IoT Hub when $batching messages are sent as one',
    ({ batching, units }) => {
      const plan = planAt('azure', environment, prices, { batching });
      expect(usdOf(plan, [`IoT Hub: ${units} units S1`])).toBe(50);
    },
  );

  it.each(CLOUDS)('cost $0.001 to $0.01 for 1,000 readings at %s with database and services', (cloud) => {
    const plan = planAt(cloud, environment, prices);
    const parts = ['device gateway', 'event stream', 'database', 'services'] as const;
    const usd = parts.reduce((sum, part) => sum + plan.usdByPart[part], 0);
    expect(usd / THOUSANDS_OF_READINGS).toBeGreaterThan(0.001);
    expect(usd / THOUSANDS_OF_READINGS).toBeLessThan(0.01);
  });

  it.each(CLOUDS)('are told at %s what 1,000 readings and a machine cost', (cloud) => {
    const { usdPerThousandReadings, usdPerMonth, usdPerMachine } = planAt(cloud, environment, prices);
    expect(usdPerThousandReadings).toBeCloseTo(usdPerMonth / THOUSANDS_OF_READINGS, 9);
    expect(usdPerMachine).toBeCloseTo(usdPerMonth / 200, 9);
  });
});
