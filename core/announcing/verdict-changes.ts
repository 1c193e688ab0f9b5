import type { Clock } from '../clock.ts';
import type { MachineEvent } from '../domain/event.ts';
import type { HealthVerdict, PredictionBody } from '../inference/prediction.ts';
import type { Announcements } from '../ports/alarm-journal.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import type { Announcement, PredictionNotice } from './announcement.ts';

export interface VerdictChangesOptions {
  readonly announcements: Pick<Announcements, 'announce' | 'announced'>;
  readonly clock: Clock;
  /** Names of notifiers to be told. */
  readonly notify: readonly string[];
  /** A sensor's verdict is told at most so often; what it is then is told with the next prediction. Default one minute. */
  readonly leastGapMs?: number;
  readonly maxSensors?: number;
}

interface Told {
  readonly verdict: HealthVerdict | undefined;
  /** Time of its waveform. */
  readonly ts: number;
  readonly atMs: number;
}

const NEVER: Told = { verdict: undefined, ts: -Infinity, atMs: -Infinity };

const JUDGEMENTS: ReadonlySet<HealthVerdict> = new Set(['healthy', 'degraded', 'alarm']);

/**
 * Announces a prediction when the model's judgement of a sensor becomes another (healthy, degraded, alarm), and not each prediction: there is
 * one a waveform. Imported ones are passed over, and so are `learning` and `unknown`, which judge nothing, and what is older than the one
 * that was told last.
 */
export class VerdictChanges {
  readonly #options: VerdictChangesOptions;
  readonly #told = new Map<string, Told>();

  constructor(options: VerdictChangesOptions) {
    this.#options = options;
  }

  /** Resolves once what is to be told is kept. The same events again announce nothing. @throws PortError of the announcements. */
  async take(events: readonly MachineEvent[]): Promise<void> {
    const { announcements, notify } = this.#options;
    if (notify.length === 0) return;
    for (const event of events) {
      const announcement = await this.#announcementOf(event);
      if (!announcement) continue;
      await announcements.announce([announcement], { notify });
      const { verdict, ts } = announcement.notice;
      this.#remember(announcement.subject, { verdict, ts, atMs: this.#options.clock.monotonicMs() });
    }
  }

  async #announcementOf(event: MachineEvent) {
    const document = event.imported === true || event.kind !== 'prediction' ? undefined : parsed(event.payload);
    if (!document) return undefined;
    const { id, ts, sensor = '', values, body } = document;
    const { verdict, model, threshold, contributions, waveformId } = body;
    if (!JUDGEMENTS.has(verdict)) return undefined;
    const { clock, leastGapMs = 60_000 } = this.#options;
    const subject = `prediction ${event.key} ${sensor}`;
    const { verdict: before, ts: beforeTs, atMs } = await this.#toldOf(subject);
    if (before === verdict || ts <= beforeTs || clock.monotonicMs() - atMs < leastGapMs) return undefined;
    const notice: PredictionNotice = {
      ...{ kind: 'prediction', change: 'made', machine: event.key, sensor, verdict, predictionId: id, ts, values },
      ...(before !== undefined && { before }),
      ...(model && { model }),
      ...(threshold !== undefined && { threshold }),
      ...(contributions && { contributions }),
      ...(waveformId !== undefined && { waveformId }),
    };
    return { id, subject, machine: event.key, notice } satisfies Announcement;
  }

  async #toldOf(subject: string): Promise<Told> {
    const known = this.#told.get(subject);
    if (known) return known;
    const notice = (await this.#options.announcements.announced(subject))?.notice;
    const told = notice?.kind === 'prediction' ? { verdict: notice.verdict, ts: notice.ts, atMs: -Infinity } : NEVER;
    return this.#remember(subject, told);
  }

  #remember(subject: string, told: Told): Told {
    const { maxSensors = 50_000 } = this.#options;
    // What is forgotten here is read again.
    if (this.#told.size >= maxSensors) this.#told.clear();
    this.#told.set(subject, told);
    return told;
  }
}

/** One that cannot be read is a dead letter of judging. */
function parsed(payload: Uint8Array): (DerivedDocument & { readonly body: PredictionBody }) | undefined {
  try {
    const document = JSON.parse(Buffer.from(payload).toString()) as (DerivedDocument & { body: PredictionBody }) | null;
    return typeof document?.body === 'object' ? document : undefined;
  } catch {
    return undefined;
  }
}
