/** What a service's process does besides its work. */
export interface RunningService {
  /** Drains and stops within 10 s, losing nothing that was acknowledged. */
  close(): Promise<void>;
}

const CLOSE_WITHIN_MS = 9_500;

/**
 * Runs a service as this process: starts it, tells a supervising parent that it is ready or why not, and stops it on SIGTERM, on SIGINT, or
 * when the parent is gone (a child without its parent would hold its store's lock for ever).
 */
export async function runService(name: string, start: () => Promise<RunningService>): Promise<void> {
  let running: RunningService | undefined;
  let isStopping = false;
  const stop = (cause: string): void => {
    if (isStopping) return;
    isStopping = true;
    const overdue = setTimeout(() => {
      process.stderr.write(`${name}: did not stop within ${CLOSE_WITHIN_MS} ms of ${cause}\n`);
      process.exit(1);
    }, CLOSE_WITHIN_MS);
    overdue.unref();
    Promise.resolve(running?.close()).then(
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
  process.on('disconnect', () => stop("its parent's end"));
  try {
    running = await start();
    process.send?.('ready');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${name}: ${message}\n`);
    if (process.send) process.send({ error: message }, () => process.exit(1));
    else process.exit(1);
  }
}
