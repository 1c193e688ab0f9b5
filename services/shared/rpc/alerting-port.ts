import type { ReplayDependencies } from '#core/derivation/replay-dead-letter.ts';

/** The socket by which the alert engine, which alone may touch what it knows of a machine, takes dead letters back. */
export const ALERTING_PORT = 'alerting';

export type AlertingDesk = Pick<ReplayDependencies, 'judgeAgain'>;
