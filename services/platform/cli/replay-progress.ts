import { Presets, SingleBar } from 'cli-progress';
import { systemClock, type Clock } from '#core/clock.ts';
import type { ReplayProgress } from '#services/edge-simulator/replay/replay-tally.ts';

const LINE_EVERY_MS = 10_000;

interface Shown {
  readonly isTerminal: boolean;
  readonly json: boolean;
  readonly clock?: Clock;
  readonly write?: (text: string) => unknown;
}

/** How far a replay is, on standard error: a bar on a terminal, else a line every ten seconds; nothing with `--json`. */
export function replayProgress({
  isTerminal,
  json,
  clock = systemClock,
  write = (text) => process.stderr.write(text),
}: Shown) {
  let latest: ReplayProgress | undefined;
  const bar = !json && isTerminal ? startedBar() : undefined;
  let saidMs = clock.monotonicMs();
  return {
    latest: () => latest,
    stop: () => bar?.stop(),
    update: (progress: ReplayProgress): void => {
      latest = progress;
      if (json) return;
      const { fraction, messages, elapsedS } = progress;
      const percent = Math.round(fraction * 100);
      const rate = Math.round(messages / Math.max(elapsedS, 0.001));
      if (bar) bar.update(percent, { messages, rate });
      else if (clock.monotonicMs() - saidMs >= LINE_EVERY_MS) {
        saidMs = clock.monotonicMs();
        write(`${percent}% | ${messages} messages | ${rate}/s\n`);
      }
    },
  };
}

function startedBar(): SingleBar {
  const bar = new SingleBar(
    { format: '{bar} {percentage}% | {messages} messages | {rate}/s', clearOnComplete: true, noTTYOutput: false },
    Presets.shades_classic,
  );
  bar.start(100, 0, { messages: 0, rate: 0 });
  return bar;
}
