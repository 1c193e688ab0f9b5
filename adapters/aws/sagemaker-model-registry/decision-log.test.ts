import { describe, expect, it } from '@jest/globals';
import { promoted, rolledBack, type DecisionLog } from './decision-log.ts';

const DECISION = { by: 'ada', reason: '' };

describe('the decisions of a model', () => {
  it('are the last 1,000, with the numbers that they had', () => {
    let log: DecisionLog = [];
    for (let version = 1; version <= 1005; version++) log = promoted(log, version, DECISION, version);
    expect(log).toHaveLength(1000);
    expect([log[0]?.id, log.at(-1)?.id]).toEqual([6, 1005]);
  });

  it('are rolled back as far as they are kept, and no further', () => {
    let log: DecisionLog = [];
    for (let version = 1; version <= 1000; version++) log = promoted(log, version, DECISION, version);
    for (let version = 999; version >= 500; version--) {
      log = rolledBack(log, DECISION, 0, 'rul');
      expect(log.at(-1)).toMatchObject({ version, kind: 'rollback' });
    }
    const refused = expect.objectContaining({ code: 'failed_precondition' });
    expect(() => rolledBack(log, DECISION, 0, 'rul')).toThrow(refused);
    expect(promoted(log, 7, DECISION, 0).at(-1)).toMatchObject({ id: 1501, version: 7 });
  });
});
