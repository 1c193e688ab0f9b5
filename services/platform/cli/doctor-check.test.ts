import { describe, expect, it } from '@jest/globals';
import { checkText, isWell } from './doctor-check.ts';
import { platformCheck } from './doctor-command.ts';

describe('what doctor says of a part of the platform', () => {
  it.each([
    ['that works', { name: 'intake', ok: true }, 'ok   intake: ready', true],
    [
      'that refuses telemetry for now, and is ready all the same',
      { name: 'back-pressure', ok: true, reason: 'readings are refused until the store has caught up' },
      'WARN back-pressure: readings are refused until the store has caught up',
      false,
    ],
    [
      'that does not work',
      { name: 'intake', ok: false, reason: 'the disk is full' },
      'FAIL intake: the disk is full',
      false,
    ],
  ])('%s', (_which, said, text, well) => {
    const check = platformCheck(said);
    expect([checkText(check), isWell(check)]).toEqual([text, well]);
  });

  it('ends with the remedy of what fails', () => {
    const check = { name: 'memory', ok: false, detail: '1.0 GiB', remedy: 'give it 2 GiB or more' };
    expect(checkText(check)).toBe('FAIL memory: 1.0 GiB\n       give it 2 GiB or more');
  });
});
