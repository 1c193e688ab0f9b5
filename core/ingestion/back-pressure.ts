import type { IntakeKind, MessageContent } from '../ports/device-gateway.ts';

/** Why intake takes no more for the moment. */
export type PressureReason = 'starting' | 'stopping' | 'append-failing' | 'in-flight' | 'backlog';

export const INTAKE_KINDS = ['telemetry', 'waveform'] as const satisfies readonly IntakeKind[];

/** The kind that a message is taken or refused with: what cannot be read for a machine goes the way of its readings. */
export function intakeKindOf({ kind }: MessageContent): IntakeKind {
  return kind === 'waveform-json' || kind === 'waveform-raw' ? 'waveform' : 'telemetry';
}

/**
 * A gate for each kind of message, open while no reason holds it shut: waveforms are refused while readings go on, and the other way round.
 * Whoever feeds intake waits at it; nothing is queued behind it.
 */
export class BackPressure<Reason extends string = PressureReason> {
  readonly #gates: Readonly<Record<IntakeKind, Gate<Reason>>> = { telemetry: new Gate(), waveform: new Gate() };

  /** Whether messages of the kind are taken; without one, of any kind. */
  isOpen(kind?: IntakeKind): boolean {
    return kindsOf(kind).some((each) => this.#gates[each].reasons.size === 0);
  }

  /** For health checks and refusals. */
  reasons(kind: IntakeKind): readonly Reason[] {
    return [...this.#gates[kind].reasons];
  }

  /** Resolves when {@link isOpen} is true. */
  async whenOpen(kind?: IntakeKind): Promise<void> {
    await Promise.race(kindsOf(kind).map((each) => this.#gates[each].whenOpen()));
  }

  /** Holds the gate of the kind shut for a reason, or no longer; without a kind, that of every kind. */
  set(reason: Reason, holds: boolean, kind?: IntakeKind): void {
    for (const each of kindsOf(kind)) this.#gates[each].set(reason, holds);
  }
}

class Gate<Reason extends string> {
  readonly reasons = new Set<Reason>();
  #opened: PromiseWithResolvers<void> | undefined;

  whenOpen(): Promise<void> {
    if (this.reasons.size === 0) return Promise.resolve();
    this.#opened ??= Promise.withResolvers();
    return this.#opened.promise;
  }

  set(reason: Reason, holds: boolean): void {
    if (holds) this.reasons.add(reason);
    else if (this.reasons.delete(reason) && this.reasons.size === 0) {
      this.#opened?.resolve();
      this.#opened = undefined;
    }
  }
}

function kindsOf(kind: IntakeKind | undefined): readonly IntakeKind[] {
  return kind === undefined ? INTAKE_KINDS : [kind];
}
