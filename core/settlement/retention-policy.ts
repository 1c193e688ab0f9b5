import { PortError } from '../errors.ts';
import type { RetentionPolicy } from '../ports/time-series-store.ts';

/** @throws PortError invalid_argument */
export function checkPolicy({ rawDays, rollup1mDays, rollup1hDays, waveformDays }: RetentionPolicy): void {
  if (![rawDays, rollup1mDays, rollup1hDays, waveformDays].every((days) => days > 0)) {
    throw new PortError('invalid_argument', 'every tier is kept for more than 0 days');
  }
  if (rawDays > rollup1mDays || rollup1mDays > rollup1hDays) {
    throw new PortError(
      'invalid_argument',
      `a coarser tier is kept at least as long as a finer one; got raw ${rawDays}, 1m ${rollup1mDays}, 1h ${rollup1hDays} days`,
    );
  }
}
