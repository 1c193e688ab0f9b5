import { Counter, Histogram, type Registry } from 'prom-client';
import type { SettledItems } from '#core/domain/ledger.ts';
import type { SettleResult } from '#core/ports/time-series-store.ts';
import { DURATION_BUCKETS_S } from '#services/shared/observability/metrics.ts';

/** What this process has settled, and how long that and housekeeping take. */
export class SettlementMetrics {
  readonly lostEvents: Counter<'stream'>;
  readonly settleDuration: Histogram<'stream'>;
  readonly houseDuration: Histogram<'task'>;
  readonly #items: Counter<'outcome'>;
  readonly #unseriedValues: Counter;

  constructor(metrics: Registry) {
    const registers = [metrics];
    const buckets = [...DURATION_BUCKETS_S];
    this.#items = new Counter({
      name: 'tribo_settled_items_total',
      help: 'Items of the ledger by where they ended, since this process started',
      labelNames: ['outcome'],
      registers,
    });
    this.#unseriedValues = new Counter({
      name: 'tribo_store_unseried_values_total',
      help: 'Values of documents that are in no series, because their machine has as many as it may, since this process started',
      registers,
    });
    this.lostEvents = new Counter({
      name: 'tribo_lost_events_total',
      help: 'Events that are missing between those settled, since this process started: above 0 is a defect',
      labelNames: ['stream'],
      registers,
    });
    this.settleDuration = new Histogram({
      name: 'tribo_settle_duration_seconds',
      help: 'One settlement: rows, counters and progress in one transaction',
      labelNames: ['stream'],
      buckets,
      registers,
    });
    this.houseDuration = new Histogram({
      name: 'tribo_store_housekeeping_duration_seconds',
      help: 'Rollups, retention and sweep of the time-series store',
      labelNames: ['task'],
      buckets,
      registers,
    });
  }

  count({ added, unseriedValues }: SettleResult): void {
    this.#unseriedValues.inc(unseriedValues ?? 0);
    for (const items of added.values()) {
      for (const outcome of Object.keys(items) as (keyof SettledItems)[]) {
        this.#items.inc({ outcome }, items[outcome]);
      }
    }
  }
}
