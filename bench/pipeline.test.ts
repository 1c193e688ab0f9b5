import { describe, expect, it } from '@jest/globals';
import { shortcomings, type PlatformRun } from './pipeline.ts';

const NO_MS = { p50: 1, p95: 1, p99: 1, max: 1 };
const PROBES = { samples: 20, ...NO_MS };
const GOOD: PlatformRun = {
  name: 'platform',
  load: {
    ...{ offered: 100, sent: 100, withheld: 0, acknowledged: 100, unanswered: 0, reconnections: 0 },
    ...{ sentUnder: {}, seconds: 1, latencyMs: NO_MS, cpuSeconds: 1 },
  },
  stolenShare: 0,
  messagesPerS: 10_000,
  storedReadingsPerS: 1000,
  queryableReadings: 1000,
  acknowledgedReadings: 1000,
  ledgerExact: true,
  pendingAtEnd: 0,
  settledAfterS: 0,
  probes: {
    ...{ apiMs: PROBES, storedMs: PROBES, alarmJournalledMs: PROBES, alarmOnStreamMs: PROBES, alarmBySseMs: PROBES },
    alarmsMissing: 0,
  },
  peakAnonymousMiB: 1,
  cpuSeconds: 1,
  cpuUsPerMessage: 1,
};

describe('a run of the pipeline bench', () => {
  it('has no shortcoming when everything acknowledged is queryable and every alarm was seen', () => {
    expect(shortcomings(GOOD)).toEqual([]);
  });

  it('may have stored what was sent and not answered any more', () => {
    const load = { ...GOOD.load, unanswered: 2 };
    expect(shortcomings({ ...GOOD, load, queryableReadings: 1020 })).toEqual([]);
    expect(shortcomings({ ...GOOD, load, queryableReadings: 1030 })).toHaveLength(1);
  });

  it('may be as slow as it was told to be', () => {
    expect(shortcomings({ ...GOOD, messagesPerS: 50, ratePerS: 50 })).toEqual([]);
  });

  it('is judged by the machine’s own time', () => {
    expect(shortcomings({ ...GOOD, messagesPerS: 5000, stolenShare: 0.5 })).toEqual([]);
    expect(shortcomings({ ...GOOD, messagesPerS: 4999, stolenShare: 0.5 })).toHaveLength(1);
  });

  it.each<[string, Partial<PlatformRun>]>([
    ['9999 messages/s, less than 10000', { messagesPerS: 9999 }],
    ['the ledger is not exact', { ledgerExact: false }],
    ['999 readings are queryable, 1000 were acknowledged', { queryableReadings: 999 }],
    ['1001 readings are queryable, 1000 were acknowledged', { queryableReadings: 1001 }],
    ['3 changes of alarms were not seen', { probes: { ...GOOD.probes, alarmsMissing: 3 } }],
    ['no change of an alarm was seen', { probes: { ...GOOD.probes, alarmOnStreamMs: { ...PROBES, samples: 0 } } }],
  ])('falls short: %s', (what, run) => {
    expect(shortcomings({ ...GOOD, ...run })).toEqual([`platform: ${what}`]);
  });
});
