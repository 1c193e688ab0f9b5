import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { AdapterBenchRow, BenchLength } from '../adapters.ts';
import type { ClientTask, Phase, Rates, SlowConsumer } from './client.ts';
import { PAYLOAD_BYTES, type Faults } from './load.ts';
import { STREAM_PEERS } from './peers.ts';

const CLIENT = fileURLToPath(new URL('client.ts', import.meta.url));
/** As the script `start` of package.json runs the platform. */
const YOUNG_GENERATION = '--max-semi-space-size=32';
/** Of the time of all rounds; the rest is consuming, latency, starts. */
const SECONDS_SHARE = 1 / 4;
/** What the young generation and its garbage take until they level off. */
const MOST_GROWTH_MIB = 128;

/**
 * An adapter of the event stream and a bare loop with the client of the same service, in turns on the same peer, each time on a fresh stream and as a
 * process of its own, once the server has warmed up; then the adapter with a consumer ten times slower than its producer. Medians. @throws where an event was lost, came twice or late,
 * or the slow consumer's memory grew with what waited for it.
 */
export async function runStreamBench(adapter: string, { seconds, rounds }: BenchLength): Promise<AdapterBenchRow[]> {
  const peer = await STREAM_PEERS[adapter]!();
  await using server = await peer.start();
  const eachS = (seconds / rounds) * SECONDS_SHARE;
  const run = async <Result>(given: Pick<ClientTask, 'isBare' | 'kind' | 'seconds'>): Promise<Result> =>
    inProcess<Result>({ adapter, place: await server.fresh(), ...given });
  // A server that was just started is slower: of a broker in Java by half.
  await run<Rates>({ isBare: false, kind: 'rates', seconds: eachS });
  const own: Rates[] = [];
  const bare: Rates[] = [];
  // A server that warms up further must not favour the one that always comes second.
  for (let round = 0; round < rounds; round++)
    for (const isBare of round % 2 === 0 ? [false, true] : [true, false])
      (isBare ? bare : own).push(await run<Rates>({ isBare, kind: 'rates', seconds: eachS }));
  const slow = await run<SlowConsumer>({ isBare: false, kind: 'slow consumer', seconds: eachS * rounds });
  for (const { faults } of [...own, slow]) refuseFaults(adapter, faults);
  for (const { faults } of bare) refuseFaults(`${adapter}'s bare client`, faults);
  const backlogMiB = (slow.backlogEvents * PAYLOAD_BYTES) / 2 ** 20;
  if (slow.growthMiB > Math.max(MOST_GROWTH_MIB, backlogMiB / 2))
    throw new Error(`${adapter}: memory grew by ${slow.growthMiB} MiB while ${backlogMiB} MiB waited for a consumer`);
  return [
    rateRow('events published', adapter, own, bare, ({ published }) => published, {
      p95Ms: median(own, ({ publishMs }) => publishMs.p95),
      bareP95Ms: median(bare, ({ publishMs }) => publishMs.p95),
      notes: `${PAYLOAD_BYTES} bytes each; ${peer.notes}; rounds ${listed(own, bare, ({ published }) => published)}`,
    }),
    rateRow('events consumed', adapter, own, bare, ({ consumed }) => consumed, {
      notes: `rounds ${listed(own, bare, ({ consumed }) => consumed)}`,
    }),
    {
      ...{ adapter, does: 'publish to handler' },
      perS: Math.round(median(own, ({ pacedPerS }) => pacedPerS)),
      barePerS: Math.round(median(bare, ({ pacedPerS }) => pacedPerS)),
      p95Ms: median(own, ({ endToEndMs }) => endToEndMs.p95),
      bareP95Ms: median(bare, ({ endToEndMs }) => endToEndMs.p95),
      notes: 'at a given rate',
    },
    {
      ...{ adapter, does: 'events published beside a consumer ten times slower' },
      perS: Math.round(slow.publishedPerS),
      notes: `consumed ${count(slow.consumedPerS)}/s; ${backlogMiB.toFixed(0)} MiB of payload waited at the end; peak of anonymous memory ${slow.peakMiB.toFixed(0)} MiB, ${slow.growthMiB.toFixed(0)} more in the last third than in the first`,
    },
  ];
}

function rateRow(
  does: string,
  adapter: string,
  own: readonly Rates[],
  bare: readonly Rates[],
  of: (rates: Rates) => Phase,
  given: Pick<AdapterBenchRow, 'p95Ms' | 'bareP95Ms' | 'notes'>,
): AdapterBenchRow {
  const [perS, barePerS] = [own, bare].map((rates) => median(rates, (each) => of(each).perS)) as [number, number];
  return {
    ...{ adapter, does, perS: Math.round(perS), barePerS: Math.round(barePerS), ratio: perS / barePerS },
    mbPerS: (perS * PAYLOAD_BYTES) / 1e6,
    cpuUsPerItem: median(own, (each) => of(each).cpuUsPerEvent),
    bareCpuUsPerItem: median(bare, (each) => of(each).cpuUsPerEvent),
    ...given,
  };
}

async function inProcess<Result>(task: ClientTask): Promise<Result> {
  const { stdout } = await promisify(execFile)(process.execPath, [YOUNG_GENERATION, CLIENT, JSON.stringify(task)]);
  return JSON.parse(stdout) as Result;
}

function refuseFaults(what: string, { lost, twiceOrLate }: Faults): void {
  if (lost + twiceOrLate > 0) throw new Error(`${what}: ${lost} events lost, ${twiceOrLate} twice or out of order`);
}

function median(rates: readonly Rates[], of: (rates: Rates) => number): number {
  const sorted = rates.map(of).sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

/** Each round's rate, the adapter's and the bare client's. */
function listed(own: readonly Rates[], bare: readonly Rates[], of: (rates: Rates) => Phase): string {
  return own.map((each, i) => `${count(of(each).perS)} : ${count(of(bare[i]!).perS)}`).join(', ');
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}
