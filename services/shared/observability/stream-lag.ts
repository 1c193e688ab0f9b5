import { Gauge, type Registry } from 'prom-client';
import type { StreamName } from '#core/domain/event.ts';
import { isPortError } from '#core/errors.ts';
import type { MeasuredStream, StreamLag } from '#core/ports/event-stream.ts';

/** Name of the gauge; a command that waits for the platform to have judged what it was sent reads it from `/metrics`. */
export const STREAM_LAG = 'tribo_stream_lag_events';

/** Every group that reads a stream, by the constants of the services that declare them. */
export const STREAM_GROUPS: readonly (readonly [StreamName, string])[] = [
  ['metrics', 'store'],
  ['metrics', 'compute'],
  ['metrics', 'raw-archive'],
  ['raw-waveform', 'store'],
  ['raw-waveform', 'compute'],
  ['raw-waveform', 'raw-archive'],
  ['features', 'store'],
  ['features', 'ml'],
  ['features', 'alerts'],
  ['windows', 'store'],
  ['windows', 'alerts'],
  ['inference-results', 'store'],
  ['inference-results', 'alerts'],
];

/** Tells at each scrape how many durable events each group has still to settle: where work waits. */
export function observeStreamLag(stream: Pick<MeasuredStream, 'lag'>, metrics: Registry): void {
  new Gauge({
    name: STREAM_LAG,
    help: 'Durable events that a consumer group has still to settle',
    labelNames: ['stream', 'group'],
    registers: [metrics],
    async collect() {
      for (const [name, group] of STREAM_GROUPS) {
        const lag = await lagOf(stream, name, group);
        if (lag) this.set({ stream: name, group }, lag.events);
      }
    },
  });
}

/** Undefined where nobody declared the group: a service that was never started here. */
export async function lagOf(
  stream: Pick<MeasuredStream, 'lag'>,
  name: StreamName,
  group: string,
): Promise<StreamLag | undefined> {
  try {
    return await stream.lag(name, group);
  } catch (error) {
    if (isPortError(error) && error.code === 'not_found') return undefined;
    throw error;
  }
}
