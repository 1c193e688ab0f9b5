import { PortError } from '../errors.ts';
import type { EventStream, MeasuredStream, ReadableTail } from '../ports/event-stream.ts';

/** The extra powers of an event stream, by their interfaces, and the methods that only an adapter with them has. */
const METHODS = {
  MeasuredStream: ['acceptedItems', 'lag'],
  ReadableTail: ['readTail'],
} as const satisfies {
  readonly MeasuredStream: readonly (keyof MeasuredStream)[];
  readonly ReadableTail: readonly (keyof ReadableTail)[];
};

export type StreamCapability = keyof typeof METHODS;

/** An event stream with the powers. */
export type StreamWith<Capability extends StreamCapability> = EventStream &
  Pick<MeasuredStream & ReadableTail, (typeof METHODS)[Capability][number]>;

/**
 * The stream, known to have what the service needs: nothing degrades silently.
 * @throws PortError failed_precondition that names what is missing: the service must not start.
 */
export function streamWith<Capability extends StreamCapability>(
  stream: EventStream,
  service: string,
  ...capabilities: readonly Capability[]
): StreamWith<Capability> {
  const missing = capabilities.filter((name) => METHODS[name].some((method) => !(method in stream)));
  if (missing.length === 0) return stream as StreamWith<Capability>;
  throw new PortError(
    'failed_precondition',
    `${service} needs the capability ${missing.join(' and ')} of the port eventStream, which the adapter ${stream.constructor.name} does not have: ` +
      'bind an adapter that has it (docs/capabilities.md says which do), or leave the service out at this site',
  );
}

/** The stream, where its recent past can be read. */
export function tailOf(stream: EventStream): ReadableTail | undefined {
  return METHODS.ReadableTail.every((method) => method in stream) ? (stream as ReadableTail) : undefined;
}
