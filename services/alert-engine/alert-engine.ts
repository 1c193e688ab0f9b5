import { setTimeout as sleep } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import { Judging } from '#core/alerting/judging.ts';
import type { Learning } from '#core/alerting/learning.ts';
import { pumpToNotifier, pumpToStream, type OutboxPump } from '#core/alerting/outbox-pump.ts';
import { VerdictChanges } from '#core/announcing/verdict-changes.ts';
import type { Clock } from '#core/clock.ts';
import { declareGroup } from '#core/delivery/at-start.ts';
import { runConsumer } from '#core/delivery/consumer.ts';
import { tailOf } from '#core/delivery/stream-capabilities.ts';
import { reasonOf } from '#core/derivation/dead-letters.ts';
import { publishAll } from '#core/derivation/publish-all.ts';
import type { ReplayDependencies, ReplayOutcome } from '#core/derivation/replay-dead-letter.ts';
import type { AlarmTransition, ConditionTransition } from '#core/domain/alarm.ts';
import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import type { RollingWindowOptions } from '#core/features/windows.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { isPortError, isRetryable, messageOf, PortError, throwIfAborted } from '#core/errors.ts';
import type {
  AlarmJournal,
  AlarmOutbox,
  Announcements,
  RecordedTransition,
  RecordOptions,
} from '#core/ports/alarm-journal.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { MeasuredStream, ReadableTail, Subscription } from '#core/ports/event-stream.ts';
import type { MachineRegistry } from '#core/ports/machine-registry.ts';
import { notifiersOf, type Notifier } from '#core/ports/notifier.ts';
import type { RuleStore } from '#core/ports/rule-store.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { ReadinessCheck } from '#services/shared/http/readiness.ts';
import type { Logger } from '#services/shared/observability/logger.ts';
import { observedStream } from '#services/shared/observability/observed-stream.ts';
import type { Tracing } from '#services/shared/observability/tracing.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import type { KeptLease } from '#services/shared/process/kept-lease.ts';
import { TurnTaking, type Turn } from '#services/shared/process/turn-taking.ts';
import { AlertEngineMetrics } from './alert-engine-metrics.ts';
import { AlertLetters } from './alert-letters.ts';
import type { AlertEngineConfig } from './config.ts';
import { Rulebook } from './rulebook.ts';
import { SavedState, type TakenUntil, type Unsettled } from './saved-state.ts';
import { tracedNotifier } from './traced-notifier.ts';

/** What the engine reads, each with its group: raw readings cost egress, so that they are read once for all that computes. */
export const ALERT_INPUTS = [
  { stream: 'metrics', group: 'compute' },
  { stream: 'features', group: 'alerts' },
  { stream: 'windows', group: 'alerts' },
  { stream: 'inference-results', group: 'alerts' },
] as const satisfies readonly Input[];

/** The way of a waveform to what is judged of it: while one waits there, its machine is not silent. */
const WAVEFORM_PATH = [
  { stream: 'raw-waveform', group: 'compute' },
  { stream: 'features', group: 'alerts' },
] as const satisfies readonly Input[];

interface Input {
  readonly stream: StreamName;
  readonly group: string;
}

export interface AlertEngineDependencies {
  /**
   * Its lag tells silence from delay; its tail is what state that was saved is brought up to date with. Where that cannot be read, state is saved
   * before what led to it is acknowledged.
   */
  readonly stream: MeasuredStream;
  readonly journal: AlarmJournal & AlarmOutbox & Announcements;
  readonly rules: RuleStore;
  readonly machines: Pick<MachineRegistry, 'listMachines' | 'listMachineEvents' | 'onChange'>;
  readonly checkpoints: CheckpointStore;
  /** Takes what cannot be judged or recorded. */
  readonly store: Pick<TimeSeriesStore, 'settle'>;
  readonly notifiers: readonly Notifier[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly tracing?: Pick<Tracing, 'as'>;
}

export interface RunningAlertEngine extends RunningService {
  /**
   * Judges, records or publishes once more what was dead-lettered.
   * @throws PortError unavailable where another process judges; that of a port that is away: then it can be called again.
   */
  readonly judgeAgain: ReplayDependencies['judgeAgain'];
  /** What is still being learned of a machine. @throws PortError unavailable where another process judges. */
  readonly learning: (machine: MachineKey) => Promise<readonly Learning[]>;
  /** Why it cannot judge or tell of alarms now. */
  readonly readiness: Readonly<Record<string, ReadinessCheck>>;
  /** What somebody has to look at although it works: notifications that will not be sent unless they are retried. */
  readonly attention: Readonly<Record<string, ReadinessCheck>>;
}

const LEASE = 'alert-engine';
const TICK_MS = 1000;
/** A tick that comes late (a suspended laptop) counts as this long at most. */
const MAX_TICK_MS = 2000;
/** While the newest events wait for so long, silence is not judged: they may be what is missed. */
const MAX_INPUT_AGE_MS = 2000;
/** Events are not accepted in the exact order of the log; so much more of it is read again. */
const TAIL_MARGIN_MS = 60_000;
const RECORD_AT_ONCE = 500;
const ADOPT_PAGE = 500;
const SHELVINGS_AT_ONCE = 100;
/** Of all metrics together, at 100 bytes. */
const MAX_WINDOW_STEPS_KEPT = 4_000_000;

/**
 * Judges readings, features and predictions by the tenants' rules, keeps the alarm journal, and tells of alarms on the stream `alarms` and by the
 * notifiers; on the way it makes windows of readings, on `windows`. Declares its groups before it returns.
 *
 * An event is acknowledged once what it led to is durable, or it is a dead letter itself; what is away is waited for. State is saved now and
 * then; after a crash the events since are read again from the stream's tail and decide the same, under the same ids, which the journal
 * has.
 *
 * One process judges at a time: a second one waits for the lease, without being ready, and so does one that lost it, which then begins
 * anew from what is stored. Closes none of the parts it was given.
 */
export async function startAlertEngine(
  config: AlertEngineConfig,
  dependencies: AlertEngineDependencies,
): Promise<RunningAlertEngine> {
  const { metrics, checkpoints, journal, logger } = dependencies;
  const tracing = dependencies.tracing?.as('alert-engine');
  const stream = observedStream(dependencies.stream, { metrics, tracing });
  const notifiers = dependencies.notifiers.map((each) => (tracing ? tracedNotifier(each, tracing) : each));
  const turns = new TurnTaking({
    checkpoints,
    lease: LEASE,
    leaseMs: config.leaseMs,
    waiting: 'another process judges; waiting for its lease to end',
    makeTurn: (kept) => new AlertEngine(config, { ...dependencies, stream, notifiers }, kept),
    onProblem: (doing, error) => logger.warn({ err: error }, `cannot ${doing}`),
  });
  for (const { stream: name, group } of ALERT_INPUTS) await declareGroup(stream, name, group);
  await turns.start();
  return {
    readiness: {
      'alert-engine': () => turns.problem(),
      'alarm-stream': () => turns.turn?.streamProblem(),
    },
    attention: { notifications: () => deadNotifications(journal) },
    judgeAgain: async (event) => {
      if (turns.turn) return turns.turn.judgeAgain(event);
      throw new PortError('unavailable', `no alarms are judged here now (${turns.problem()}); try again`);
    },
    learning: async (machine) => {
      if (turns.turn) return turns.turn.learning(machine);
      throw new PortError('unavailable', `no alarms are judged here now (${turns.problem()}); try again`);
    },
    close: () => turns.close(),
  };
}

/** Judges while it has the lease. */
class AlertEngine implements Turn {
  readonly #config: AlertEngineConfig;
  readonly #dependencies: AlertEngineDependencies;
  readonly #tail: ReadableTail | undefined;
  readonly #judging: Judging;
  readonly #state: SavedState;
  readonly #rulebook: Rulebook;
  readonly #metrics: AlertEngineMetrics;
  readonly #letters: AlertLetters;
  readonly #notify: Pick<RecordOptions, 'notify' | 'notifyOfChanges'>;
  readonly #verdictChanges: VerdictChanges;
  readonly #stopping = new AbortController();
  readonly #subscriptions: Subscription[] = [];
  readonly #pumps: OutboxPump[] = [];
  readonly #takenUntilMs: Partial<Record<StreamName, number>> = {};
  readonly #kept: KeptLease;
  readonly #unsettled: Unsettled = {
    settle: () => this.#flushOnce(),
    isEmpty: () => !this.#judging.hasOutputs && this.#letters.isEmpty,
  };
  #loop: Promise<void> | undefined;
  #serial: Promise<unknown> = Promise.resolve();
  #problem: string | undefined = 'it is being started';
  #closed: Promise<void> | undefined;

  constructor(config: AlertEngineConfig, dependencies: AlertEngineDependencies, kept: KeptLease) {
    const { rules, machines, checkpoints, notifiers, clock, metrics, journal } = dependencies;
    this.#config = config;
    this.#dependencies = dependencies;
    this.#tail = tailOf(dependencies.stream);
    this.#kept = kept;
    this.#judging = new Judging({
      latenessMs: config.latenessMs,
      onUnitMismatch: (mismatch) =>
        dependencies.logger.warn(mismatch, 'a rule judges no readings in this unit: it does not convert to the rule’s'),
      onUnjudged: (stream, event, reason) => this.#letters.add(stream, event, reason),
      windowIdleMs: config.windowIdleMs,
      windows: windowOptions(config),
    });
    this.#state = new SavedState(checkpoints, this.#judging, () => kept.confirm());
    this.#rulebook = new Rulebook({
      rules,
      machines,
      engine: this.#judging.engine,
      onApplied: () => void this.#flush().catch((error: unknown) => this.#report('record alarms', error)),
      onProblem: (doing, error) => this.#report(doing, error),
    });
    this.#notify = { notify: notifiersOf('alarm', notifiers), notifyOfChanges: notifiersOf('alarm-change', notifiers) };
    this.#verdictChanges = new VerdictChanges({
      announcements: journal,
      clock,
      notify: notifiersOf('prediction', notifiers),
    });
    this.#metrics = new AlertEngineMetrics(metrics, this.#judging, journal);
    const { store, logger } = dependencies;
    this.#letters = new AlertLetters(clock.nowMs(), { store, logger, dropped: this.#metrics.dropped });
  }

  problem(): string | undefined {
    return this.#problem;
  }

  streamProblem(): string | undefined {
    return this.#pumps[0]?.problem();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    await this.#rulebook.close();
    await Promise.all(this.#subscriptions.map((subscription) => subscription.close()));
    await this.#loop;
    if (!this.#kept.lost.aborted && this.#problem === undefined) {
      await this.#saveAll().catch((error: unknown) => this.#report('save state', error));
    }
    await Promise.all(this.#pumps.map((pump) => pump.close()));
    this.#metrics.close();
  }

  async begin(signal: AbortSignal): Promise<void> {
    const { journal, stream, notifiers, clock } = this.#dependencies;
    await this.#rulebook.open();
    await this.#recover(signal);
    const outbox = { outbox: journal, clock, onProblem: (doing: string, error: unknown) => this.#warn(doing, error) };
    this.#pumps.push(
      pumpToStream(stream, outbox),
      ...notifiers.map((notifier) =>
        pumpToNotifier(notifier, {
          ...outbox,
          maxAttempts: this.#config.notifyAttempts,
          firstDelayMs: this.#config.notifyFirstDelayMs,
          longestDelayMs: this.#config.notifyLongestDelayMs,
        }),
      ),
    );
    const stopListening = journal.onChange(() => {
      for (const pump of this.#pumps) pump.wake();
    });
    this.#stopping.signal.addEventListener('abort', stopListening);
    for (const input of ALERT_INPUTS) {
      throwIfAborted(signal);
      this.#subscriptions.push(await this.#consume(input));
    }
    this.#problem = undefined;
    this.#loop = this.#run();
  }

  /** Restores what was saved, takes the events since then, and adopts what the journal knows besides. */
  async #recover(signal: AbortSignal): Promise<void> {
    const saved = await this.#state.load(this.#rulebook.machineCount);
    for (const input of ALERT_INPUTS) {
      const { stream } = input;
      const untilMs = saved?.[stream];
      this.#takenUntilMs[stream] = untilMs ?? (await this.#oldestWaitingMs(input));
      const tail = this.#tail;
      if (untilMs === undefined || !tail) continue;
      const limits = { maxEvents: Number.MAX_SAFE_INTEGER, sinceMs: untilMs - TAIL_MARGIN_MS };
      for await (const events of tail.readTail(stream, limits, { signal })) {
        this.#take(stream, events);
        await this.#flush();
      }
    }
    await this.#flush();
    for (let after; ;) {
      const page = await this.#dependencies.journal.activeAlarms({ limit: ADOPT_PAGE, ...(after && { after }) });
      this.#judging.engine.adopt(page);
      after = page.at(-1)?.id;
      if (page.length < ADOPT_PAGE) break;
    }
    await this.#flush();
    // From the first event on, a crash finds since when events have to be taken again.
    if (!saved) await this.#savePass();
  }

  #consume({ stream: streamName, group }: (typeof ALERT_INPUTS)[number]): Promise<Subscription> {
    const { stream } = this.#dependencies;
    const process = async (events: readonly StampedEvent[]): Promise<void> => {
      try {
        if (streamName === 'inference-results') await this.#verdictChanges.take(events);
        this.#take(streamName, events);
        await this.#flush();
        await this.#letters.bury([streamName, 'alarms']);
        if (!this.#tail) await this.#saveAll();
      } catch (error) {
        // What an event alone is to blame for has become a dead letter: this is the ports' trouble, and passes with it.
        throw isRetryable(error) ? error : new PortError('unavailable', messageOf(error), { cause: error });
      }
      this.#recovered();
    };
    return runConsumer({
      stream,
      streamName,
      group,
      maxBatchEvents: this.#config.maxBatchEvents,
      process,
      // Not asked for: `process` passes over what an event is to blame for, and waits for everything else.
      deadLetter: (_event, error) => Promise.reject(new PortError('internal', messageOf(error), { cause: error })),
      onRetry: (error) => this.#report('record alarms', error),
    });
  }

  #take(stream: StreamName, events: readonly StampedEvent[]): void {
    for (const event of events) this.#judging.take(stream, event);
    const newestMs = events.at(-1)?.acceptedAtMs;
    if (newestMs !== undefined) this.#takenUntilMs[stream] = newestMs;
  }

  /** Makes what was decided durable: one call after the other, whoever asks. */
  #flush(): Promise<void> {
    return this.#serially(async () => {
      await this.#kept.keep();
      await this.#flushOnce();
    });
  }

  #serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#serial.then(work, work);
    this.#serial = result;
    return result;
  }

  async #flushOnce(): Promise<void> {
    while (this.#judging.hasOutputs) {
      const { transitions, windowEvents } = this.#judging.takeOutputs();
      let recorded = 0;
      try {
        while (recorded < transitions.length) {
          const batch = transitions.slice(recorded, recorded + RECORD_AT_ONCE);
          const refused = (each: ConditionTransition, error: unknown) =>
            this.#letters.addOwn(transitionEvent(each), reasonOf(error));
          await eachOrAlone(batch, (some) => this.#record(some), refused);
          recorded += batch.length;
        }
        await eachOrAlone(
          windowEvents,
          (some) => publishAll(this.#dependencies.stream, 'windows', some),
          (each, error) => this.#letters.addOwn(each, reasonOf(error)),
        );
      } catch (error) {
        this.#judging.putBack({ transitions: transitions.slice(recorded), windowEvents });
        throw error;
      }
    }
  }

  async #record(transitions: readonly AlarmTransition[]): Promise<readonly RecordedTransition[]> {
    const { correlationWindowMs } = this.#config;
    const options = { correlationWindowMs, ...this.#notify };
    const results = await this.#dependencies.journal.record(transitions, options);
    this.#metrics.recorded(results);
    return results;
  }

  learning(machine: MachineKey): readonly Learning[] {
    return this.#judging.engine.learning(machine);
  }

  async judgeAgain(event: StampedEvent): Promise<ReplayOutcome> {
    if (this.#problem !== undefined)
      throw new PortError('unavailable', `the alert engine is not ready: ${this.#problem}`);
    if (AlertLetters.isOwn(event)) return this.#serially(() => this.#makeAgain(event));
    const judged = this.#judging.judgeAgain(event);
    // The letter is about to go: what came of it must not be only in memory.
    await this.#serially(async () => {
      await this.#kept.keep();
      await this.#state.saveMachine(event.key, { ...this.#takenUntilMs }, this.#unsettled);
    });
    return judged;
  }

  /** Of what the engine made itself: a transition of an alarm, or a window. */
  async #makeAgain(event: StampedEvent): Promise<ReplayOutcome> {
    await this.#kept.keep();
    try {
      if (event.kind !== 'alarm') {
        await publishAll(this.#dependencies.stream, 'windows', [event]);
        return { outcome: 'published', stream: 'windows' };
      }
      await this.#flushOnce();
      const transition = JSON.parse(Buffer.from(event.payload).toString()) as ConditionTransition;
      if (!this.#judging.engine.holds(transition)) {
        return { outcome: 'judged', detail: 'its condition has changed since: nothing is recorded of it' };
      }
      const [result] = await this.#record([transition]);
      return { outcome: result?.outcome === 'duplicate' ? 'duplicate' : 'judged' };
    } catch (error) {
      if (!isPoison(error)) throw error;
      return { outcome: 'deadLettered', detail: messageOf(error) };
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#dependencies;
    const { signal } = this.#stopping;
    let lastMs = clock.monotonicMs();
    let savedMs = lastMs;
    while (!(await sleep(TICK_MS, false, { signal }).catch(() => true))) {
      const nowMs = clock.monotonicMs();
      try {
        await this.#serially(() => this.#kept.keep());
        if (!(await this.#isBehind([ALERT_INPUTS[0]]))) {
          const waveformsWait = await this.#waveformsWait();
          this.#judging.tick(Math.min(nowMs - lastMs, MAX_TICK_MS), { waveformsWait, nowMs: clock.nowMs() });
        }
        await this.#unshelve();
        await this.#flush();
        const isDue = nowMs - savedMs >= this.#config.saveEveryMs - TICK_MS / 2;
        if (isDue || this.#state.isSaving) {
          if (!this.#state.isSaving) savedMs = nowMs;
          await this.#save(this.#config.saveBudgetMs);
          // Windows of machines that stopped.
          await this.#flush();
        }
        await this.#letters.bury();
        this.#recovered();
      } catch (error) {
        this.#report('keep alarms', error);
        if (this.#kept.lost.aborted) return;
      }
      lastMs = nowMs;
    }
  }

  async #isBehind(inputs: readonly Input[]): Promise<boolean> {
    const oldestMs = await Promise.all(inputs.map((input) => this.#oldestWaitingMs(input)));
    return Math.min(...oldestMs) < this.#dependencies.clock.nowMs() - MAX_INPUT_AGE_MS;
  }

  async #waveformsWait(): Promise<boolean> {
    try {
      return await this.#isBehind(WAVEFORM_PATH);
    } catch (error) {
      // Nobody has ever computed features here: then none are waited for.
      if (isPortError(error) && error.code === 'not_found') return false;
      throw error;
    }
  }

  /** When the oldest event that waits to be taken was accepted; now where none waits. */
  async #oldestWaitingMs({ stream: name, group }: Input): Promise<number> {
    const { stream, clock } = this.#dependencies;
    const { events, oldestAgeMs } = await stream.lag(name, group);
    return clock.nowMs() - (events > 0 ? oldestAgeMs : 0);
  }

  async #unshelve(): Promise<void> {
    const { journal, clock } = this.#dependencies;
    const nowMs = clock.nowMs();
    const due = await journal.dueShelvings(nowMs, SHELVINGS_AT_ONCE);
    if (due.length === 0) return;
    await this.#record(
      due.map(({ id, silence }) => ({
        type: 'unshelve',
        id: `shelving-ended-${silence && 'untilMs' in silence ? silence.untilMs : nowMs}`,
        alarmId: id,
        atMs: nowMs,
        by: 'system',
        comment: 'the time of shelving is over',
      })),
    );
  }

  /** The first ends a pass that may be under way, the second takes what changed since it began. */
  async #saveAll(): Promise<void> {
    await this.#savePass();
    await this.#savePass();
  }

  /**
   * Saves to the end of a pass. What the others decided, and could not judge, since it began holds it up: so the letters of all inputs are buried,
   * lest one waits for the other. That ends: each takes one batch, and then waits for this.
   */
  async #savePass(): Promise<void> {
    while (!(await this.#save(Infinity))) await this.#letters.bury();
  }

  /** True when the pass is complete. */
  #save(budgetMs: number): Promise<boolean> {
    const takenUntilMs: TakenUntil = { ...this.#takenUntilMs };
    return this.#serially(async () => {
      await this.#kept.keep();
      return this.#state.save(takenUntilMs, budgetMs, this.#unsettled);
    });
  }

  #recovered(): void {
    if (!this.#kept.lost.aborted) this.#problem = undefined;
  }

  /** What it was about goes to the log alone: people of every tenant read why the platform is not ready. */
  #report(doing: string, error: unknown, about: object = {}): void {
    const message = messageOf(error);
    this.#problem = `cannot ${doing}: ${message}`;
    this.#warn(doing, error, about);
  }

  #warn(doing: string, error: unknown, about: object = {}): void {
    this.#dependencies.logger.warn({ err: error, ...about }, `cannot ${doing}`);
  }
}

function windowOptions(config: AlertEngineConfig): RollingWindowOptions {
  const { windowMs, windowStepMs = windowMs, latenessMs, windowCorrectedForMs, maxWindowSeries } = config;
  const stepsKept = Math.ceil((windowMs + latenessMs + windowCorrectedForMs) / windowStepMs);
  return {
    sizeMs: windowMs,
    hopMs: windowStepMs,
    watermarkDelayMs: latenessMs,
    allowedLatenessMs: windowCorrectedForMs,
    maxSeries: Math.min(maxWindowSeries, Math.ceil(MAX_WINDOW_STEPS_KEPT / stepsKept)),
  };
}

/** Does it with all at once; where one of them will never be taken, with each alone, so that it does not hold up the rest. */
async function eachOrAlone<Item>(
  items: readonly Item[],
  act: (items: readonly Item[]) => Promise<unknown>,
  refused: (item: Item, error: unknown) => void,
): Promise<void> {
  try {
    await act(items);
  } catch (error) {
    if (!isPoison(error)) throw error;
    for (const item of items) {
      if (items.length === 1) refused(item, error);
      else await eachOrAlone([item], act, refused);
    }
  }
}

/** Only what a port says of the thing itself: anything else may be its own trouble, and is waited for. */
function isPoison(error: unknown): boolean {
  return isPortError(error) && error.code === 'invalid_argument';
}

/** A transition as a dead letter carries it. */
function transitionEvent(transition: ConditionTransition): MachineEvent {
  const { id: eventId, machine: key, atMs: acceptedAtMs } = transition;
  return { eventId, kind: 'alarm', key, items: 0, acceptedAtMs, payload: Buffer.from(JSON.stringify(transition)) };
}

async function deadNotifications(outbox: Pick<AlarmOutbox, 'outboxCounts'>): Promise<string | undefined> {
  const counts = await outbox.outboxCounts();
  const dead = [...counts].filter(([, count]) => count.dead > 0);
  if (dead.length === 0) return undefined;
  return dead
    .map(([destination, count]) => `${count.dead} notifications could not be sent by ${destination}`)
    .join('; ');
}
