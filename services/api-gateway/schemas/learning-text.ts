import type { LearningView } from './machines.ts';

/** What is being learned, in one sentence for people: `Rule above learns what is normal and does not judge yet: 12 of 50 (sensor de)`. */
export function learningText({ by, id, sensor, metric, learnt, needed, detail }: LearningView): string {
  const progress = [learnt === undefined ? undefined : `${learnt} of ${needed}`, detail].filter(Boolean).join('; ');
  const of = [metric, sensor === undefined ? undefined : `sensor ${sensor}`].filter(Boolean).join(' of ');
  return `${by === 'model' ? 'The model' : 'Rule'} ${id} learns what is normal and does not judge yet: ${progress}${of && ` (${of})`}`;
}
