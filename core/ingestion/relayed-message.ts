import { PortError } from '../errors.ts';
import { isName, type DeviceId, type SiteId, type TenantId } from '../domain/ids.ts';
import { TopicMapping } from './mapping.ts';
import { quote } from './rejection.ts';
import { deviceTopic } from './topics.ts';

/** A message as a device would have published it itself. */
export interface RelayedMessage {
  readonly device: DeviceId;
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** What the mapping below matches: the message came by no topic. */
const TOPIC = 'sensor_data';

/** Reads `{ device_id, timestamp, sensor_data }`, which a program sends for a device whose machine is named as the device is. */
export class RelayedMessages {
  readonly #mapping: TopicMapping;

  constructor({ tenant, site }: { readonly tenant: TenantId; readonly site: SiteId }) {
    const places = { tenant, site, machine: '$.device_id' };
    const fields = { time: '$.timestamp', metrics: '$.sensor_data' };
    this.#mapping = new TopicMapping({ version: 1, mappings: [{ topic: TOPIC, ...places, ...fields }] });
  }

  /**
   * What is without metrics is passed on as it came, so that intake rejects it and counts it for its machine.
   * @throws PortError invalid_argument where it names no device: then there is nobody to count it for.
   */
  read(text: string): RelayedMessage {
    const { machine, content } = this.#mapping.map(TOPIC, Buffer.from(text))!;
    const device = machine?.split('/').at(-1);
    if (machine === undefined || !isName(device))
      throw new PortError(
        'invalid_argument',
        `a message must be JSON with a device_id of 1 to 64 of the characters A-Z a-z 0-9 _ . -, got ${quote(text)}; correct it where it is published`,
      );
    return {
      device: device as DeviceId,
      topic: deviceTopic({ kind: 'telemetry', machine }),
      payload: 'payload' in content ? content.payload : Buffer.from(text),
    };
  }
}
