import { PortError } from '#core/errors.ts';
import type { ModelDecision, ModelPromotion } from '#core/ports/model-registry.ts';

/** Beyond so many the oldest are forgotten. */
const KEPT = 1_000;

/** A decision, and which earlier one a rollback of it goes back to. */
export interface LoggedDecision extends ModelPromotion {
  /** Dense, from 1, for each model. */
  readonly id: number;
  readonly replaces?: number;
}

/** What was decided of a model, oldest first; the last is in force. */
export type DecisionLog = readonly LoggedDecision[];

/** With the version promoted; the same log where it is already. */
export function promoted(log: DecisionLog, version: number, decision: ModelDecision, atMs: number): DecisionLog {
  const present = log.at(-1);
  if (present?.version === version) return log;
  return added(log, { ...decision, version, atMs, kind: 'promote' }, present?.id);
}

/** With what was promoted before the present decision in force again. @throws PortError failed_precondition where nothing was. */
export function rolledBack(log: DecisionLog, decision: ModelDecision, atMs: number, model: string): DecisionLog {
  const replaced = log.at(-1)?.replaces;
  const before = log.find(({ id }) => id === replaced);
  if (!before) throw new PortError('failed_precondition', `no version of ${model} was promoted before this one`);
  return added(log, { ...decision, version: before.version, atMs, kind: 'rollback' }, before.replaces);
}

function added(log: DecisionLog, decision: ModelPromotion, replaces: number | undefined): DecisionLog {
  const { by, reason, version, atMs, kind } = decision;
  const id = (log.at(-1)?.id ?? 0) + 1;
  return [...log.slice(1 - KEPT), { id, version, atMs, kind, by, reason, ...(replaces !== undefined && { replaces }) }];
}
