import { Counter, Gauge, type Registry } from 'prom-client';
import type { Judging } from '#core/alerting/judging.ts';
import type { AlarmOutbox, RecordedTransition } from '#core/ports/alarm-journal.ts';

/** Figures of judging and telling. Those that the engine counts itself are read when they are scraped. */
export class AlertEngineMetrics {
  /** Counted when it becomes a dead letter. */
  readonly dropped: Counter<'reason'>;
  readonly #transitions: Counter<'type' | 'outcome'>;
  readonly #registry: Registry;
  readonly #scraped: readonly string[];

  constructor(registry: Registry, judging: Judging, outbox: Pick<AlarmOutbox, 'outboxCounts'>) {
    this.#registry = registry;
    this.#transitions = new Counter({
      name: 'tribo_alarm_transitions_total',
      help: 'Transitions handed to the alarm journal, by what became of them',
      labelNames: ['type', 'outcome'],
      registers: [registry],
    });
    this.dropped = new Counter({
      name: 'tribo_alert_dropped_total',
      help: 'Events that could not be judged, and transitions and windows that could not be recorded: given up until their dead letter is replayed',
      labelNames: ['reason'],
      registers: [registry],
    });
    const events = new Gauge({
      name: 'tribo_judged_events',
      help: 'Messages and documents since the start, by what became of them; unitMismatch: readings in a unit that a rule could not judge',
      labelNames: ['outcome'],
      registers: [registry],
      collect: () => {
        const { counts } = judging.engine;
        for (const [outcome, count] of Object.entries({ ...counts })) events.set({ outcome }, count);
      },
    });
    const windowed = new Gauge({
      name: 'tribo_window_readings',
      help: 'Readings since the start, by what became of them in windows: late ones corrected a window, too late and refused ones are in none',
      labelNames: ['outcome'],
      registers: [registry],
      collect: () => {
        for (const [outcome, count] of Object.entries(judging.windowReadings)) windowed.set({ outcome }, count);
      },
    });
    const messages = new Gauge({
      name: 'tribo_alarm_outbox_messages',
      help: 'Alarm messages that wait to be told, and those that will not be unless somebody retries them',
      labelNames: ['destination', 'state'],
      registers: [registry],
      collect: async () => {
        messages.reset();
        for (const [destination, { pending, dead }] of await outbox.outboxCounts()) {
          messages.set({ destination, state: 'pending' }, pending);
          messages.set({ destination, state: 'dead' }, dead);
        }
      },
    });
    this.#scraped = [
      'tribo_alarm_transitions_total',
      'tribo_alert_dropped_total',
      'tribo_judged_events',
      'tribo_window_readings',
      'tribo_alarm_outbox_messages',
    ];
  }

  recorded(results: readonly RecordedTransition[]): void {
    for (const result of results) {
      const type = result.outcome === 'recorded' ? result.entry.transition.type : 'none';
      this.#transitions.inc({ type, outcome: result.outcome });
    }
  }

  /** Nothing of a closed engine is scraped. */
  close(): void {
    for (const name of this.#scraped) this.#registry.removeSingleMetric(name);
  }
}
