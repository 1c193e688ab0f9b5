import type { OperatingState, OperatingStateSource } from './plant.ts';

/** The metric that carries a machine's speed, in revolutions per minute; negative while it runs in reverse. */
export const SPEED_METRIC = 'rpm';

/** Whether the machine runs, by the metric that tells it; undefined while that metric's value is not known. Maintenance that people noted overrules it. */
export function operatingStateOf(
  source: OperatingStateSource,
  valueOf: (metric: string) => number | undefined,
): OperatingState | undefined {
  if (source.from === 'always') return source.state;
  const value = valueOf(source.metric);
  if (value === undefined) return undefined;
  if (source.from === 'threshold') {
    const magnitude = source.metric === SPEED_METRIC ? Math.abs(value) : value;
    return magnitude > source.runningAbove ? 'running' : 'stopped';
  }
  if (value === source.running) return 'running';
  return value === source.maintenance ? 'maintenance' : 'stopped';
}
