import type { Clock } from '#core/clock.ts';
import type { PublishedEpoch } from '#core/delivery/accounts/stream-accounts.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import { codeOf, PortError } from '#core/errors.ts';
import type { PublishResult } from '#core/ports/event-stream.ts';
import type { OutgoingMessage } from './client.ts';
import { Lane, laneOf } from './lane.ts';

export interface TopicPublisherParts {
  readonly source: string;
  readonly lanes: number;
  readonly clock: Clock;
  /** Of all its lanes. */
  readonly firstEpoch: number;
  /** How long the first events of a request wait for more. */
  readonly gatherMs: number;
  readonly send: (orderingKey: string, messages: readonly OutgoingMessage[]) => Promise<void>;
  /** Told of what became durable. */
  readonly published: (epoch: PublishedEpoch) => void;
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
    const failed: FailedItem[] = [];
    let failure: unknown;
    const byLane = Map.groupBy(events.keys(), (index) => laneOf(events[index]!.key, this.#parts.lanes));
    const publishing = [...byLane].map(async ([number, own]) => {
      const { durable, error } = await this.#lane(number).publish(own.map((index) => events[index]!));
      if (durable === own.length) return;
      failure ??= error;
      for (const index of own.slice(durable)) failed.push({ index, code: codeOfItem(error) });
    });
    await Promise.all(publishing);
    if (failed.length === events.length && events.length > 0)
      throw failure instanceof Error ? failure : new PortError('internal', String(failure));
    return { failed: failed.sort((left, right) => left.index - right.index) };
  }

  #lane(number: number): Lane {
    let lane = this.#lanes.get(number);
    if (!lane) {
      const { source, clock, firstEpoch, gatherMs, send, published } = this.#parts;
      lane = new Lane({
        ...{ source: sourceOf(source, number), clock, firstEpoch, gatherMs, published },
        send: (messages) => send(`lane-${number}`, messages),
      });
      this.#lanes.set(number, lane);
    }
    return lane;
  }
}

/** The name of a publisher's lane in the envelope. */
export function sourceOf(publisher: string, lane: number): string {
  return `${publisher}/${lane}`;
}

function codeOfItem(error: unknown): FailedItem['code'] {
  const code = codeOf(error);
  if (code === 'resource_exhausted') return code;
  return code === 'unavailable' || code === 'deadline_exceeded' ? 'unavailable' : 'internal';
}
