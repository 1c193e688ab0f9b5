import { describe, expect, it } from '@jest/globals';
import { stampedEvent } from '../contracts/sample-event.ts';
import { ProgressMarks } from './progress-marks.ts';

const at = (seq: number, epoch = 1, source = 'gateway') => ({ ...stampedEvent(seq), seq, epoch, source });

describe('progress marks', () => {
  it('take an event in once, in each stream, and of each publisher and epoch by itself', () => {
    const marks = new ProgressMarks();
    const taken = [at(1), at(2), at(2), at(1), at(1, 2), at(1, 1, 'other')].map((event) =>
      marks.advance('metrics', event),
    );
    expect(taken).toEqual([true, true, false, false, true, true]);
    expect(marks.advance('features', at(1))).toBe(true);
    expect([marks.covers(at(2)), marks.covers(at(3))]).toEqual([true, false]);
  });

  it('do the same once they were saved and restored', () => {
    const [marks, restored] = [new ProgressMarks(), new ProgressMarks()];
    marks.advance('metrics', at(5));
    restored.restore(JSON.parse(JSON.stringify(marks.state())) as ReturnType<ProgressMarks['state']>);
    expect([restored.advance('metrics', at(5)), restored.advance('metrics', at(6))]).toEqual([false, true]);
  });

  it('forget the oldest epochs, of which nothing comes any more, lest they grow with each restart', () => {
    const marks = new ProgressMarks();
    for (let epoch = 1; epoch <= 1000; epoch++) marks.advance('metrics', at(1, epoch));
    expect(marks.state().length).toBeLessThan(50);
    expect(marks.advance('metrics', at(1, 1000))).toBe(false);
  });
});
