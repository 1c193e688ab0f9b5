import type { MachineKey } from '#core/domain/ids.ts';
import { parseDeviceTopic, type DeviceTopic } from '#core/ingestion/topics.ts';

export type ForeignTopic = 'foreign-topic' | 'foreign-machine';

/** What one device may do with a topic, remembered: a device uses few of them, and each of its messages names one. */
export class TopicAccess {
  readonly #machines: ReadonlySet<MachineKey>;
  readonly #known = new Map<string, DeviceTopic | ForeignTopic>();

  constructor(machines: ReadonlySet<MachineKey>) {
    this.#machines = machines;
  }

  resolve(topic: string): DeviceTopic | ForeignTopic {
    let access = this.#known.get(topic);
    if (access === undefined) {
      const parsed = parseDeviceTopic(topic);
      access = parsed === undefined ? 'foreign-topic' : this.#machines.has(parsed.machine) ? parsed : 'foreign-machine';
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(topic, access);
    }
    return access;
  }
}

const MAX_KNOWN = 512;
