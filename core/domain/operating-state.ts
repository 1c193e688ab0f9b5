import type { OperatingState, OperatingStateSource } from './plant.ts';

/** Whether the machine runs, by the metric that tells it; undefined while that metric's value is not known. */
export function operatingStateOf(
  source: OperatingStateSource,
  valueOf: (metric: string) => number | undefined,
): OperatingState | undefined {
  if (source.from === 'always') return source.state;
  const value = valueOf(source.metric);
  if (value === undefined) return undefined;
  if (source.from === 'threshold') return value > source.runningAbove ? 'running' : 'stopped';
  if (value === source.running) return 'running';
  return value === source.maintenance ? 'maintenance' : 'stopped';
}
