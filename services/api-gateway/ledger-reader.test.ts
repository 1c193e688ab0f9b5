import { describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { until } from '#core/contracts/until.ts';
import { acceptedInParts } from '#core/delivery/accepted-in-parts.ts';
import type { StreamName } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { AcceptedOptions } from '#core/ports/event-stream.ts';
import type { SettledTenant } from '#core/ports/time-series-store.ts';
import { LedgerReader } from './ledger-reader.ts';

const NORTH = 'north' as TenantId;

/** What store and log say of a tenant where every sum is right: 100 items accepted, 10 of them not settled yet. */
const RIGHT = {
  settled: { stored: 70, duplicate: 9, rejected: 8, deadLettered: 3 },
  watermarks: { metrics: 80, 'raw-waveform': 10 },
  heads: { metrics: 88, 'raw-waveform': 12 },
  lost: 0,
};

function fail(what: string, cause: unknown): never {
  throw new Error(what, { cause });
}

function ledgerOf({ settled, watermarks, heads, lost, imported }: typeof RIGHT & { readonly imported?: number }) {
  const tenant: SettledTenant = {
    ...{ tenant: NORTH, settled, conflicts: 0, ...(imported !== undefined && { imported }) },
    watermarks: new Map(Object.entries(watermarks) as [StreamName, number][]),
  };
  return new LedgerReader({
    store: {
      settled: async () => [tenant],
      lostEvents: async () => [{ stream: 'metrics', group: 'store', events: lost }],
    },
    stream: { acceptedItems: async (stream) => new Map([[NORTH, heads[stream as keyof typeof heads]]]) },
    clock: systemClock,
    onProblem: fail,
  }).of(NORTH);
}

describe('the ledger’s own sum', () => {
  it('is exact where what was settled equals the watermarks, and pending is what the log has beyond them', async () => {
    expect(await ledgerOf(RIGHT)).toMatchObject({
      ...{ ...RIGHT.settled, accepted: 100, pending: 10, exact: true, lost: 0 },
      stages: [
        { stream: 'metrics', accepted: 88, pending: 8 },
        { stream: 'raw-waveform', accepted: 12, pending: 2 },
      ],
    });
  });

  it('is exact where a site was moved here: what was settled there is accepted, and no watermark has it', async () => {
    const settled = { ...RIGHT.settled, stored: 70 + 900, rejected: 8 + 100 };
    expect(await ledgerOf({ ...RIGHT, settled, imported: 1000 })).toMatchObject({
      ...{ ...settled, accepted: 1100, pending: 10, exact: true, imported: 1000 },
    });
    expect((await ledgerOf({ ...RIGHT, settled, imported: 999 })).exact).toBe(false);
    expect((await ledgerOf({ ...RIGHT, settled })).exact).toBe(false);
  });

  it.each([
    ['one stored item too few', { settled: { ...RIGHT.settled, stored: 69 } }],
    ['one stored item too many', { settled: { ...RIGHT.settled, stored: 71 } }],
    ['a duplicate too many', { settled: { ...RIGHT.settled, duplicate: 10 } }],
    ['a rejected item too few', { settled: { ...RIGHT.settled, rejected: 7 } }],
    ['a dead-lettered item too many', { settled: { ...RIGHT.settled, deadLettered: 4 } }],
    ['a watermark of metrics that is behind', { watermarks: { ...RIGHT.watermarks, metrics: 79 } }],
    ['a watermark of waveforms that is ahead', { watermarks: { ...RIGHT.watermarks, 'raw-waveform': 11 } }],
    ['an event that never came', { lost: 1 }],
    ['more settled than one log ever accepted', { heads: { metrics: 79, 'raw-waveform': 21 } }],
  ])('is not exact with %s', async (_what, wrong) => {
    expect((await ledgerOf({ ...RIGHT, ...wrong })).exact).toBe(false);
  });
});

describe('a stream in parts on a store that has settled one without', () => {
  const metrics: StreamName = 'metrics';
  const before = { ...RIGHT.settled, stored: 60 };
  const said = new Map([['edge.0/1', new Map([[NORTH, 5]])]]);

  it.each([
    ['before anything of it is settled', before, 80, undefined, 5],
    ['while some of it is', { ...before, stored: 62 }, 82, new Map([[metrics, new Map([['edge.0/1', 2]])]]), 3],
    ['once all of it is', { ...before, stored: 65 }, 85, new Map([[metrics, new Map([['edge.0/1', 5]])]]), 0],
  ])('adds what was settled then to what is accepted, %s', async (_when, settled, watermark, parts, pending) => {
    const tenant: SettledTenant = {
      ...{ tenant: NORTH, settled, conflicts: 0, ...(parts && { parts }) },
      watermarks: new Map([[metrics, watermark]]),
    };
    const stream = {
      acceptedItems: async (name: StreamName, options: AcceptedOptions = {}) =>
        acceptedInParts(name === metrics ? said : new Map(), options.settled),
    };
    const store = { settled: async () => [tenant], lostEvents: async () => [] };
    const ledger = await new LedgerReader({ store, stream, clock: systemClock, onProblem: fail }).of(NORTH);
    expect(ledger).toMatchObject({ accepted: 85, pending, exact: true });
  });
});

describe('a stream whose parts only their publishers count', () => {
  const metrics: StreamName = 'metrics';
  const parts = new Map([[metrics, new Map([['edge.0/1', 50], ['edge.1/1', 30]])]]); // prettier-ignore
  const store = {
    settled: async () => [
      {
        ...{ tenant: NORTH, settled: { ...RIGHT.settled, stored: 60 }, conflicts: 0, parts },
        watermarks: new Map([[metrics, 80]]),
      },
    ],
    lostEvents: async () => [],
  };

  it('is told what is settled of each part, as that was accepted even where it was not said', async () => {
    const asked: AcceptedOptions[] = [];
    const stream = {
      acceptedItems: async (_stream: StreamName, options: AcceptedOptions = {}) => {
        asked.push(options);
        return new Map([[NORTH, asked.length === 1 ? 85 : 0]]);
      },
    };
    const ledger = await new LedgerReader({ store, stream, clock: systemClock, onProblem: fail }).of(NORTH);
    expect(ledger).toMatchObject({ accepted: 85, pending: 5, exact: true });
    expect(asked).toEqual([
      { settled: new Map([[NORTH, parts.get(metrics)]]) },
      { settled: new Map([[NORTH, new Map()]]) },
    ]);
  });
});

describe('a ledger for which nobody asks', () => {
  it('is read now and then, also after a reading that failed, until it is stopped', async () => {
    const away = new PortError('unavailable', 'away');
    const problems: unknown[] = [];
    let reads = 0;
    const store = {
      settled: async () => {
        if (++reads === 2) throw away;
        return [];
      },
      lostEvents: async () => [],
    };
    const ledger = new LedgerReader({
      ...{ store, stream: { acceptedItems: async () => new Map() }, clock: systemClock, readEveryMs: 1 },
      onProblem: (_what, error) => problems.push(error),
    });
    ledger.start();
    await until(() => reads >= 4, 'the ledger is read four times');
    ledger.stop();
    expect(problems).toEqual([away]);
  });
});
