import { PortError } from '#core/errors.ts';
import type { EventStream } from '#core/ports/event-stream.ts';

/** The socket by which the one process that writes the stream `features` publishes what others want to have on it. */
export const FEATURES_PORT = 'features';

/** Who publishes what becomes of a replayed dead letter. */
export type FeaturesPublisher = Pick<EventStream, 'publish'>;

/** The stream as {@link servePort} can offer it: to be published to, and no other stream than that of the features. */
export function servedFeatures(stream: FeaturesPublisher): FeaturesPublisher {
  return {
    publish: async (name, events, options) => {
      if (name === 'features') return stream.publish(name, events, options);
      throw new PortError('invalid_argument', `the feature service publishes to features alone, not to ${name}`);
    },
  };
}
