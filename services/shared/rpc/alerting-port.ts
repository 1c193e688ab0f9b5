import type { Learning } from '#core/alerting/learning.ts';
import type { ReplayDependencies } from '#core/derivation/replay-dead-letter.ts';
import type { MachineKey } from '#core/domain/ids.ts';

/** The socket by which the alert engine, which alone may touch what it knows of a machine, takes dead letters back and says what it learns. */
export const ALERTING_PORT = 'alerting';

export interface AlertingDesk extends Pick<ReplayDependencies, 'judgeAgain'> {
  /** What is still being learned of a machine. @throws PortError unavailable where it is not to be had now. */
  learning(machine: MachineKey): Promise<readonly Learning[]>;
}
