export type FaultKind =
  | 'imbalance'
  | 'misalignment'
  | 'looseness'
  | 'bearing-outer'
  | 'bearing-inner'
  | 'bearing-ball'
  | 'bearing-cage'
  | 'cavitation';

/** Severity of each fault, 0 to 1; an absent one is not there. */
export type FaultSeverities = Partial<Readonly<Record<FaultKind, number>>>;

export function severityOf(faults: FaultSeverities, kind: FaultKind): number {
  return Math.min(1, Math.max(0, faults[kind] ?? 0));
}
