import { expect, it } from '@jest/globals';
import { replayProgress } from './replay-progress.ts';

it.each([
  [
    'without a terminal says so every ten seconds',
    false,
    ['25% | 100 messages | 10/s\n', '50% | 200 messages | 10/s\n'],
  ],
  ['says nothing with --json', true, []],
])('the progress of a replay %s', (_what, json, said) => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const written: string[] = [];
  const progress = replayProgress({ isTerminal: false, json, clock, write: (text) => written.push(text) });
  for (const elapsedS of [5, 10, 15, 20]) {
    nowMs = elapsedS * 1000;
    progress.update({ messages: elapsedS * 10, items: 0, elapsedS, fraction: elapsedS / 40 });
  }
  progress.stop();
  expect(written).toEqual(said);
  expect(progress.latest()).toMatchObject({ messages: 200 });
});
