/*
 * A process for tests to kill. It publishes to `metrics` from several callers at once, as fast as it can, and writes each event's id to a
 * file once it is acknowledged, synced, before it publishes on - at once, or after a pause.
 *   node publisher.ts <directory> <source> <file of acknowledged ids> [<pause in ms>]
 */
import type { MachineEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { DEFAULT_RETENTION } from '../config.ts';
import { LmdbEventStream } from '../lmdb-event-stream.ts';
import { IdListWriter } from '../testing/id-list.ts';

const CALLERS = 8;
const EVENTS_A_PUBLISH = 5;

const [directory, source, acknowledged, pauseMs = '0'] = process.argv.slice(2) as [string, string, string, string?];
const stream = new LmdbEventStream({ directory, source, streams: DEFAULT_RETENTION });
const list = new IdListWriter(acknowledged);
const run = Date.now();

await Promise.all(
  Array.from({ length: CALLERS }, async (_, caller) => {
    for (let round = 0; ; round++) {
      const events = Array.from({ length: EVENTS_A_PUBLISH }, (__, index) => newEvent(caller, round, index));
      await stream.publish('metrics', events);
      list.append(events.map((event) => event.eventId));
      if (pauseMs !== '0') await new Promise((resolve) => setTimeout(resolve, Number(pauseMs)));
    }
  }),
);

function newEvent(caller: number, round: number, index: number): MachineEvent {
  return {
    eventId: `${source}.${run}.${caller}.${round}.${index}`,
    kind: 'telemetry',
    key: `north/akron/m${caller}` as MachineKey,
    items: 1 + (index % 3),
    acceptedAtMs: Date.now(),
    payload: Buffer.alloc(50 + ((round * 97) % 3000), 65 + caller),
  };
}
