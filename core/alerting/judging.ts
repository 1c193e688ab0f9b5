import { Buffer } from 'node:buffer';
import { reasonOf, type DeadLetterReason } from '../derivation/dead-letters.ts';
import type { DerivedFrom } from '../derivation/derived-event.ts';
import type { ConditionTransition } from '../domain/alarm.ts';
import type { MachineEvent, StampedEvent, StreamName } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import {
  RollingWindows,
  type DeclaredUnit,
  type MachineWindowsSnapshot,
  type RollingWindowOptions,
  type WindowOutcome,
  type WindowResult,
} from '../features/windows.ts';
import { documentOf, telemetryOf, Undecodable } from './judged-payload.ts';
import { ProgressMarks, type ProgressMark } from './progress-marks.ts';
import { RuleEngine, type MachineSnapshot, type RuleEngineOptions } from './rule-engine.ts';
import { windowEvents } from './window-documents.ts';

export interface JudgingOptions extends RuleEngineOptions {
  readonly windows: RollingWindowOptions;
  /** A metric of which no readings came for so long, while others could have, has its open windows closed. */
  readonly windowIdleMs: number;
  /** Told of each event that cannot be judged; {@link Judging.judgeAgain} takes it once more. It must be durable before state is saved. */
  readonly onUnjudged: (stream: StreamName, event: StampedEvent, reason: DeadLetterReason) => void;
}

/** What became of an event that could not be judged when it came. */
export type JudgedAgain =
  | { readonly outcome: 'judged'; readonly detail?: string }
  /** It was judged since. */
  | { readonly outcome: 'duplicate' }
  | { readonly outcome: 'deadLettered'; readonly detail: string };

/** What judging has decided and nobody has made durable yet. */
export interface JudgingOutputs {
  readonly transitions: ConditionTransition[];
  /** Windows of readings, for the stream `features`. */
  readonly windowEvents: MachineEvent[];
}

/** Everything that judging knows of one machine, and which events it has taken in. */
export interface SavedMachine {
  readonly key: MachineKey;
  readonly marks: readonly ProgressMark[];
  readonly rules?: MachineSnapshot;
  readonly windows?: MachineWindowsSnapshot;
  /** Of its newest telemetry, where windows are open: for what is made of them when they are closed. */
  readonly newest?: Pick<MachineEvent, 'acceptedAtMs' | 'imported'>;
  /** Windows that were closed in this very state: to be published. */
  readonly closed?: readonly SavedEvent[];
  /** Ids of events that could not be judged. */
  readonly unjudged?: readonly string[];
  readonly forgotUnjudged?: true;
}

type SavedEvent = Omit<MachineEvent, 'payload'> & { readonly payload: string };

interface KnownMachine {
  readonly marks: ProgressMarks;
  shard: number;
  /** Of its newest telemetry. */
  acceptedAtMs: number;
  imported: boolean;
  /** When to look, on the clock of arrivals, whether windows are to be closed; Infinity where none is open. */
  idleAtMs: number;
  /** Closed by the clock, and not saved yet. */
  closed: MachineEvent[];
  unjudged: string[];
  forgotUnjudged: boolean;
}

/** So many events of a machine that could not be judged are known by their ids. */
export const MAX_UNJUDGED = 64;

/**
 * Rules and windows fed by events, each event once: one that is delivered again changes nothing and decides nothing. Its state is saved in
 * shards of machines, each machine with the marks of the events in it, so that parts saved at different times fit together: after a
 * crash, every event since is taken again, and each machine takes what it had not.
 *
 * Outputs gather until {@link Judging.takeOutputs}; state is to be saved only when none are left, because the events that led to them will
 * not decide them again.
 *
 * **Metrics that stop**, of a machine that stops or goes on. No reading would close their last windows: {@link Judging.tick} finds them, by the clock of arrivals, and
 * {@link Judging.saveShard} closes them. What the clock decides, the same events may decide otherwise after a crash; so it is part of the
 * saved state, and comes out only when that is durable: {@link Judging.shardSaved}.
 *
 * **Poison.** An event that cannot be read or judged is told and passed over. Its id is kept, so that it can be judged once later.
 */
export class Judging {
  readonly engine: RuleEngine;
  readonly #windows: RollingWindows;
  readonly #machines = new Map<MachineKey, KnownMachine>();
  #shards: readonly Set<MachineKey>[] = [new Set()];
  readonly #dirty = new Set<number>();
  readonly #closedWindows: WindowResult[] = [];
  readonly #windowIdleMs: number;
  readonly #onUnjudged: JudgingOptions['onUnjudged'];
  #outputs: JudgingOutputs = { transitions: [], windowEvents: [] };
  #arrivalClockMs = 0;

  constructor(options: JudgingOptions) {
    this.#windowIdleMs = options.windowIdleMs;
    this.#onUnjudged = options.onUnjudged;
    this.engine = new RuleEngine(options, (transition) => {
      this.#outputs.transitions.push(transition);
      // Silence is decided without an event.
      this.#dirty.add(this.#add(transition.machine).shard);
    });
    this.#windows = new RollingWindows(
      options.windows,
      (result) => this.#closedWindows.push(result),
      this.#declaredUnit,
    );
  }

  get hasOutputs(): boolean {
    return this.#outputs.transitions.length > 0 || this.#outputs.windowEvents.length > 0;
  }

  /**
   * Takes an event in; false when it changes nothing, because it was taken before or because its kind decides nothing. What decides
   * nothing is not noted either: rejections come under whatever machine names a sender makes up.
   */
  take(stream: StreamName, event: StampedEvent): boolean {
    const { kind } = event;
    if (kind !== 'telemetry' && kind !== 'features' && kind !== 'prediction') return false;
    const machine = this.#machines.get(event.key) ?? this.#add(event.key);
    if (!machine.marks.advance(stream, event)) return false;
    this.#dirty.add(machine.shard);
    const problem = this.#judge(machine, event);
    if (problem) {
      machine.unjudged.push(event.eventId);
      if (machine.unjudged.length > MAX_UNJUDGED) {
        machine.unjudged.shift();
        machine.forgotUnjudged = true;
      }
      this.#onUnjudged(stream, event, problem);
    }
    return true;
  }

  /**
   * Judges an event that could not be judged when it came, under the rules of now, and only once. By then it may be late: it corrects its
   * windows then, but raises no alarm. It says nothing of who is silent.
   */
  judgeAgain(event: StampedEvent): JudgedAgain {
    const machine = this.#add(event.key);
    const place = machine.unjudged.indexOf(event.eventId);
    if (place < 0 && machine.marks.covers(event)) {
      if (!machine.forgotUnjudged) return { outcome: 'duplicate' };
      const detail = `more than ${MAX_UNJUDGED} events of its machine could not be judged, and whether this one was since is not known any more`;
      return { outcome: 'deadLettered', detail };
    }
    const judgedBefore = this.engine.counts.judged;
    const problem = this.#judge(machine, { ...event, again: true });
    if (problem) return { outcome: 'deadLettered', detail: problem.detail };
    if (place >= 0) machine.unjudged.splice(place, 1);
    this.#dirty.add(machine.shard);
    if (this.engine.counts.judged > judgedBefore) return { outcome: 'judged' };
    return { outcome: 'judged', detail: 'no rule took it: it is too late for an alarm, or no rule is about it' };
  }

  /**
   * Moves the clocks of silence and of arrivals: see {@link RuleEngine.tick} for when not to. Windows of metrics of which nothing came for too
   * long are closed when their machine's shard, which counts as changed now, is saved next.
   */
  tick(elapsedMs: number, options: Parameters<RuleEngine['tick']>[1] = {}): void {
    this.engine.tick(elapsedMs, options);
    this.#arrivalClockMs += elapsedMs;
    for (const machine of this.#machines.values()) {
      if (this.#isIdle(machine) || machine.closed.length > 0) this.#dirty.add(machine.shard);
    }
  }

  /** What was decided since the last call. */
  takeOutputs(): JudgingOutputs {
    const outputs = this.#outputs;
    this.#outputs = { transitions: [], windowEvents: [] };
    return outputs;
  }

  /** Puts outputs that could not be made durable back before newer ones. */
  putBack({ transitions, windowEvents: events }: JudgingOutputs): void {
    this.#outputs = {
      transitions: [...transitions, ...this.#outputs.transitions],
      windowEvents: [...events, ...this.#outputs.windowEvents],
    };
  }

  /** Readings since the start by what became of them in their windows. */
  get windowReadings(): Readonly<Record<WindowOutcome, number>> {
    return this.#windows.totals;
  }

  /** Machines of which something is kept. */
  get machineCount(): number {
    return this.#machines.size;
  }

  get shardCount(): number {
    return this.#shards.length;
  }

  /** Divides the machines anew; every shard counts as changed. */
  divide(shards: number): void {
    this.#shards = Array.from({ length: shards }, () => new Set<MachineKey>());
    for (const [key, machine] of this.#machines) {
      machine.shard = this.#shardOf(key);
      this.#shards[machine.shard]!.add(key);
    }
    for (let shard = 0; shard < shards; shard++) this.#dirty.add(shard);
  }

  /** Shards that changed since they were last saved. */
  dirtyShards(): readonly number[] {
    return [...this.#dirty].sort((a, b) => a - b);
  }

  /** The shard of a machine; undefined where nothing is kept of it. */
  shardOf(key: MachineKey): number | undefined {
    return this.#machines.get(key)?.shard;
  }

  /** The shard's state, with the windows of idle metrics closed; it counts as saved from now on. */
  saveShard(shard: number): readonly SavedMachine[] {
    this.#dirty.delete(shard);
    return [...(this.#shards[shard] ?? [])].map((key) => {
      const machine = this.#machines.get(key)!;
      if (this.#isIdle(machine)) this.#closeWindows(key, machine);
      const { acceptedAtMs, imported, idleAtMs, closed, unjudged, forgotUnjudged } = machine;
      const rules = this.engine.snapshotMachine(key);
      const windows = this.#windows.snapshotMachine(key);
      return {
        key,
        marks: machine.marks.state(),
        ...(rules && { rules }),
        ...(windows && { windows }),
        ...(idleAtMs < Infinity && { newest: { acceptedAtMs, ...(imported && { imported }) } }),
        ...(closed.length > 0 && { closed: closed.map(savedEvent) }),
        ...(unjudged.length > 0 && { unjudged: [...unjudged] }),
        ...(forgotUnjudged && { forgotUnjudged }),
      };
    });
  }

  /** What {@link Judging.saveShard} gave last would be restored after a crash: the windows that it closed come out, before whatever corrects them. */
  shardSaved(shard: number): void {
    for (const key of this.#shards[shard] ?? []) {
      const machine = this.#machines.get(key)!;
      if (machine.closed.length === 0) continue;
      this.putBack({ transitions: [], windowEvents: machine.closed });
      machine.closed = [];
      this.#dirty.add(shard);
    }
  }

  /** Marks a shard whose saving failed. */
  spoilShard(shard: number): void {
    this.#dirty.add(shard);
  }

  /** Takes saved machines back, in a process that has just begun. Windows of another shape (a changed configuration) begin anew. */
  restore(machines: readonly SavedMachine[]): void {
    for (const { key, marks, rules, windows, newest, closed = [], unjudged = [], forgotUnjudged } of machines) {
      const machine = this.#add(key);
      machine.marks.restore(marks);
      machine.unjudged = [...unjudged];
      machine.forgotUnjudged = forgotUnjudged ?? false;
      if (newest) {
        machine.acceptedAtMs = newest.acceptedAtMs;
        machine.imported = newest.imported ?? false;
        machine.idleAtMs = this.#arrivalClockMs + this.#windowIdleMs;
      }
      // They may have been published before the crash: their ids say so to whoever reads them.
      this.#outputs.windowEvents.push(...closed.map(restoredEvent));
      if (closed.length > 0) this.#dirty.add(machine.shard);
      if (rules) this.engine.restoreMachine(rules);
      if (!windows) continue;
      try {
        this.#windows.restoreMachine(windows);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
  }

  #add(key: MachineKey): KnownMachine {
    const known = this.#machines.get(key);
    if (known) return known;
    const machine: KnownMachine = {
      marks: new ProgressMarks(),
      shard: this.#shardOf(key),
      acceptedAtMs: 0,
      imported: false,
      idleAtMs: Infinity,
      closed: [],
      unjudged: [],
      forgotUnjudged: false,
    };
    this.#shards[machine.shard]!.add(key);
    this.#machines.set(key, machine);
    return machine;
  }

  #shardOf(key: MachineKey): number {
    return hash(key) % this.#shards.length;
  }

  #isIdle({ idleAtMs }: KnownMachine): boolean {
    return this.#arrivalClockMs >= idleAtMs;
  }

  #closeWindows(key: MachineKey, machine: KnownMachine): void {
    machine.idleAtMs = this.#windows.closeSilent(key, this.#arrivalClockMs, this.#windowIdleMs);
    const { acceptedAtMs, imported } = machine;
    machine.closed.push(...this.#takeClosedWindows({ key, acceptedAtMs, ...(imported && { imported }) }));
  }

  #takeClosedWindows(origin: DerivedFrom): readonly MachineEvent[] {
    return windowEvents(origin, this.#closedWindows.splice(0), this.#declaredUnit);
  }

  readonly #declaredUnit: DeclaredUnit = (machine, metric) => this.engine.declaredUnit(machine as MachineKey, metric);

  /** Why it cannot be judged; undefined when it was. */
  #judge(machine: KnownMachine, event: JudgedEvent): DeadLetterReason | undefined {
    try {
      if (event.kind === 'telemetry') this.#judgeTelemetry(machine, event);
      else this.engine.observeDocument(event, documentOf(event));
      return undefined;
    } catch (error) {
      return error instanceof Undecodable ? { code: 'undecodable_payload', detail: error.message } : reasonOf(error);
    } finally {
      // Also where judging failed half-way: they are not the next event's.
      if (this.#closedWindows.length > 0) this.#outputs.windowEvents.push(...this.#takeClosedWindows(event));
    }
  }

  #judgeTelemetry(machine: KnownMachine, event: JudgedEvent): void {
    const body = telemetryOf(event);
    const { key, acceptedAtMs, imported } = event;
    const clockMs = this.#arrivalClockMs;
    if (machine.idleAtMs === Infinity) machine.idleAtMs = clockMs + this.#windowIdleMs;
    machine.acceptedAtMs = acceptedAtMs;
    machine.imported = imported ?? false;
    this.engine.observe(event, body);
    this.#windows.take(key, body, { arrivedMs: imported ? Infinity : acceptedAtMs, clockMs });
  }
}

type JudgedEvent = StampedEvent & { readonly again?: true };

function savedEvent({ payload, ...event }: MachineEvent): SavedEvent {
  return { ...event, payload: Buffer.from(payload).toString() };
}

function restoredEvent({ payload, ...event }: SavedEvent): MachineEvent {
  return { ...event, payload: Buffer.from(payload) };
}

/** FNV-1a: the same machine is in the same shard after a restart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
