import { describe, expect, it } from '@jest/globals';
import { learningText } from './learning-text.ts';

describe('text of what is being learned', () => {
  it.each([
    [
      { by: 'rule', id: 'above', sensor: 'de', learnt: 12, needed: 50 },
      'Rule above learns what is normal and does not judge yet: 12 of 50 (sensor de)',
    ],
    [
      { by: 'rule', id: 'worse', sensor: 'de', metric: 'rms_g', learnt: 0, needed: 3, detail: 'it waits' },
      'Rule worse learns what is normal and does not judge yet: 0 of 3; it waits (rms_g of sensor de)',
    ],
    [
      { by: 'model', id: 'health', sensor: 'de', detail: '3 of 50 feature sets learnt' },
      'The model health learns what is normal and does not judge yet: 3 of 50 feature sets learnt (sensor de)',
    ],
  ] as const)('of %j', (learning, text) => {
    expect(learningText(learning)).toBe(text);
  });
});
