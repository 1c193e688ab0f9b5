import type { Clock } from '#core/clock.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import { machineRef } from '#core/domain/ids.ts';
import { codeOf, PortError } from '#core/errors.ts';
import type { PublishResult } from '#core/ports/event-stream.ts';
import type { OutgoingMessage } from './client.ts';
import { Lane, laneOf } from './lane.ts';
import type { PublishedItems } from './published-items.ts';

export interface TopicPublisherParts {
  readonly source: string;
  readonly lanes: number;
  readonly clock: Clock;
  readonly items: PublishedItems;
  readonly send: (orderingKey: string, messages: readonly OutgoingMessage[]) => Promise<void>;
}

type FailedItem = PublishResult['failed'][number];

/** Publishes to one topic: each machine in its lane, the lanes side by side. */
export class TopicPublisher {
  readonly #parts: TopicPublisherParts;
  readonly #lanes = new Map<number, Lane>();

  constructor(parts: TopicPublisherParts) {
    this.#parts = parts;
  }

  /** @throws PortError where nothing became durable. */
  async publish(events: readonly MachineEvent[]): Promise<PublishResult> {
    const { items } = this.#parts;
    const counted = events.map((event, index) => ({
      ...{ event, index },
      cumulativeItems: items.add(machineRef(event.key).tenant, event.items),
    }));
    const failed: FailedItem[] = [];
    let failure: unknown;
    const byLane = Map.groupBy(counted, ({ event }) => laneOf(event.key, this.#parts.lanes));
    const publishing = [...byLane].map(async ([number, own]) => {
      const { durable, error } = await this.#lane(number).publish(own);
      if (durable === own.length) return;
      failure ??= error;
      for (const { event, index } of own.slice(durable)) {
        items.add(machineRef(event.key).tenant, -event.items);
        failed.push({ index, code: codeOfItem(error) });
      }
    });
    await Promise.all(publishing);
    if (failed.length === events.length && events.length > 0)
      throw failure instanceof Error ? failure : new PortError('internal', String(failure));
    return { failed: failed.sort((left, right) => left.index - right.index) };
  }

  #lane(number: number): Lane {
    let lane = this.#lanes.get(number);
    if (!lane) {
      const { source, clock, send } = this.#parts;
      lane = new Lane(`${source}/${number}`, clock, (messages) => send(`lane-${number}`, messages));
      this.#lanes.set(number, lane);
    }
    return lane;
  }
}

function codeOfItem(error: unknown): FailedItem['code'] {
  const code = codeOf(error);
  if (code === 'resource_exhausted') return code;
  return code === 'unavailable' || code === 'deadline_exceeded' ? 'unavailable' : 'internal';
}
