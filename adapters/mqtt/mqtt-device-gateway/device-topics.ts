import { isName, type DeviceId, type MachineKey } from '#core/domain/ids.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';

/** A topic of a device: who published to it, as the broker checked, and the topic of wire.md or a foreign one below that. */
export interface OwnedTopic {
  readonly device: DeviceId;
  readonly topic: string;
}

/**
 * Topics of devices at a broker that is not ours: `{root}/{device}/` and the topic of wire.md, or a foreign one. The broker's access rules bind
 * the second level to whoever authenticated; what a device is bound to, the registry says.
 */
export class DeviceTopics {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  read(topic: string): OwnedTopic | undefined {
    const [root, device] = topic.split('/', 2);
    if (root !== this.#root || !isName(device)) return undefined;
    return { device: device as DeviceId, topic: topic.slice(root.length + device.length + 2) };
  }

  command(device: DeviceId, machine: MachineKey): string {
    return `${this.#root}/${device}/${deviceTopic({ kind: 'command', machine })}`;
  }

  /** What all devices publish to a topic, which may have wildcards. */
  everyDevice(topic: string): string {
    return `${this.#root}/+/${topic}`;
  }
}

/** What a device says of itself, for all its machines: its Last Will. */
export const OWN_STATUS = 'status';
