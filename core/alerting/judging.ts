import { Buffer } from 'node:buffer';
import type { ConditionTransition } from '../domain/alarm.ts';
import type { MachineEvent, StampedEvent, StreamName } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import type { TelemetryBody } from '../domain/reading.ts';
import {
  RollingWindows,
  type MachineWindowsSnapshot,
  type RollingWindowOptions,
  type WindowOutcome,
  type WindowResult,
} from '../features/windows.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import { ProgressMarks, type ProgressMark } from './progress-marks.ts';
import { RuleEngine, type MachineSnapshot, type RuleEngineOptions } from './rule-engine.ts';
import { windowEvents } from './window-documents.ts';

export interface JudgingOptions extends RuleEngineOptions {
  readonly windows: RollingWindowOptions;
}

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
}

interface KnownMachine {
  readonly marks: ProgressMarks;
  shard: number;
}

/**
 * Rules and windows fed by events, each event once: one that is delivered again changes nothing and decides nothing. Its state is saved in
 * shards of machines, each machine with the marks of the events in it, so that parts saved at different times fit together: after a
 * crash, every event since is taken again, and each machine takes what it had not.
 *
 * Outputs gather in {@link Judging.outputs} until {@link Judging.takeOutputs}; state is to be saved only when none are left, because the
 * events that led to them will not decide them again.
 */
export class Judging {
  readonly engine: RuleEngine;
  readonly #windows: RollingWindows;
  readonly #machines = new Map<MachineKey, KnownMachine>();
  #shards: readonly Set<MachineKey>[] = [new Set()];
  readonly #dirty = new Set<number>();
  readonly #closedWindows: WindowResult[] = [];
  #outputs: JudgingOutputs = { transitions: [], windowEvents: [] };
  #undecodable = 0;

  constructor(options: JudgingOptions) {
    this.engine = new RuleEngine(options, (transition) => {
      this.#outputs.transitions.push(transition);
      // Silence is decided without an event.
      this.#dirty.add(this.#add(transition.machine).shard);
    });
    this.#windows = new RollingWindows(options.windows, (result) => this.#closedWindows.push(result));
  }

  get hasOutputs(): boolean {
    return this.#outputs.transitions.length > 0 || this.#outputs.windowEvents.length > 0;
  }

  /** Events with a payload that could not be read; the store dead-letters them. */
  get undecodable(): number {
    return this.#undecodable;
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
    if (kind === 'telemetry') this.#takeTelemetry(event);
    else this.#takeDocument(event);
    return true;
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

  /** The shard's state; it counts as saved from now on. */
  saveShard(shard: number): readonly SavedMachine[] {
    this.#dirty.delete(shard);
    return [...(this.#shards[shard] ?? [])].map((key) => {
      const rules = this.engine.snapshotMachine(key);
      const windows = this.#windows.snapshotMachine(key);
      const marks = this.#machines.get(key)?.marks.state() ?? [];
      return { key, marks, ...(rules && { rules }), ...(windows && { windows }) };
    });
  }

  /** Marks a shard whose saving failed. */
  spoilShard(shard: number): void {
    this.#dirty.add(shard);
  }

  /** Takes saved machines back. Windows of another shape (a changed configuration) begin anew. */
  restore(machines: readonly SavedMachine[]): void {
    for (const { key, marks, rules, windows } of machines) {
      this.#add(key).marks.restore(marks);
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
    const machine = { marks: new ProgressMarks(), shard: this.#shardOf(key) };
    this.#shards[machine.shard]!.add(key);
    this.#machines.set(key, machine);
    return machine;
  }

  #shardOf(key: MachineKey): number {
    return hash(key) % this.#shards.length;
  }

  #takeTelemetry(event: StampedEvent): void {
    const body = this.#parse(event) as TelemetryBody | undefined;
    if (!body || !Number.isFinite(body.ts) || typeof body.metrics !== 'object') return;
    this.engine.observe(event, body);
    const { key } = event;
    for (const metric in body.metrics) {
      const entry = body.metrics[metric]!;
      if (typeof entry === 'number') this.#windows.update(key, metric, body.ts, entry);
      else if (entry.quality !== 'bad') this.#windows.update(key, metric, body.ts, entry.value);
    }
    if (this.#closedWindows.length === 0) return;
    this.#outputs.windowEvents.push(...windowEvents(event, this.#closedWindows));
    this.#closedWindows.length = 0;
  }

  #takeDocument(event: StampedEvent): void {
    const document = this.#parse(event) as DerivedDocument | undefined;
    if (!document || !Number.isFinite(document.ts) || typeof document.values !== 'object') return;
    this.engine.observeDocument(event, document);
  }

  #parse({ payload }: StampedEvent): unknown {
    try {
      const value: unknown = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString());
      if (typeof value === 'object' && value !== null) return value;
    } catch {
      // Counted below, like every payload that is no object.
    }
    this.#undecodable++;
    return undefined;
  }
}

/** FNV-1a: the same machine is in the same shard after a restart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
