import { Presets, SingleBar } from 'cli-progress';
import type { Output } from './output.ts';

export interface Progress {
  /** `fraction` from 0 to 1. */
  at(fraction: number, doing: string): void;
  stop(): void;
}

/** A bar on standard error while long work goes on; nothing where that is no terminal, or with `--json`. */
export function progressBar(out: Output): Progress {
  if (out.json || !process.stderr.isTTY) return { at: () => undefined, stop: () => undefined };
  const bar = new SingleBar({ format: '{bar} {percentage}% | {doing}', clearOnComplete: true }, Presets.shades_classic);
  bar.start(100, 0, { doing: '' });
  return {
    at: (fraction, doing) => bar.update(Math.min(100, Math.round(fraction * 100)), { doing }),
    stop: () => bar.stop(),
  };
}

/** A signal that aborts when the person at the keyboard or an orchestrator ends the command, so that it can clean up. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort(new Error('interrupted'));
  process.once('SIGINT', abort).once('SIGTERM', abort);
  return controller.signal;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toLocaleString('en', { maximumFractionDigits: 1 })} MiB`;
}
