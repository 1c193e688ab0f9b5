import { codeOf, messageOf } from '#core/errors.ts';
/** What a service's process does besides its work. */
export interface RunningService {
  /** Drains and stops within 10 s, losing nothing that was acknowledged. */
  close(): Promise<void>;
  /** Reads the files of certificates again, where the process has servers that present one. */
  renewCertificates?(): void;
}

const CLOSE_WITHIN_MS = 9_500;
/** A start that is asked to stop is waited for so long, to be closed as it should; some wait longer, for a lease of a process that was killed. */
const START_WITHIN_MS = 3_000;

/**
 * Runs a service as this process: starts it, tells a supervising parent that it is ready or why not, and stops it on SIGTERM, on SIGINT, or
 * when the parent is gone (a child without its parent would hold its store's lock for ever). SIGHUP renews certificates.
 */
export async function runService(name: string, start: () => Promise<RunningService>): Promise<void> {
  const started = Promise.withResolvers<RunningService | undefined>();
  const asked = new AbortController();
  const stop = (cause: string): void => {
    if (asked.signal.aborted) return;
    asked.abort();
    const overdue = setTimeout(() => {
      process.stderr.write(`${name}: did not stop within ${CLOSE_WITHIN_MS} ms of ${cause}\n`);
      process.exit(1);
    }, CLOSE_WITHIN_MS);
    overdue.unref();
    setTimeout(() => started.resolve(undefined), START_WITHIN_MS);
    const closed = started.promise.then((running) => running?.close());
    closed.then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${name}: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  // Ctrl-C reaches the whole group: the parent decides the order in which a tree stops.
  process.on('SIGINT', () => {
    if (!process.connected) stop('SIGINT');
  });
  process.on('SIGHUP', () => void started.promise.then((running) => running?.renewCertificates?.()));
  process.on('disconnect', () => stop("its parent's end"));
  try {
    started.resolve(await start());
    if (!asked.signal.aborted) process.send?.('ready');
  } catch (error) {
    started.resolve(undefined);
    if (asked.signal.aborted) return;
    const message = messageOf(error);
    process.stderr.write(`${name}: ${message}\n`);
    if (process.send) process.send({ error: message, code: codeOf(error) }, () => process.exit(1));
    else process.exit(1);
  }
}
