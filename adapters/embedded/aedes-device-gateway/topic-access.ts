import type { MachineKey } from '#core/domain/ids.ts';
import { parseDeviceTopic, type DeviceTopic } from '#core/ingestion/topics.ts';

export type ForeignTopic = 'foreign-topic' | 'foreign-machine';

/** What one device may do with a topic, remembered: a device uses few of them, and each of its messages names one. */
export class TopicAccess {
  readonly #machines: ReadonlySet<MachineKey>;
  readonly #known = new Map<string, DeviceTopic | ForeignTopic>();

  readonly #maxKnown: number;

  constructor(machines: ReadonlySet<MachineKey>) {
    this.#machines = machines;
    this.#maxKnown = Math.max(LEAST_KNOWN, TOPICS_A_MACHINE * machines.size);
  }

  resolve(topic: string): DeviceTopic | ForeignTopic {
    let access = this.#known.get(topic);
    if (access === undefined) {
      const parsed = parseDeviceTopic(topic);
      access = parsed === undefined ? 'foreign-topic' : this.#machines.has(parsed.machine) ? parsed : 'foreign-machine';
      if (this.#known.size >= this.#maxKnown) this.#known.clear();
      this.#known.set(topic, access);
    }
    return access;
  }
}

const LEAST_KNOWN = 512;
/** Telemetry, and a few sensors. */
const TOPICS_A_MACHINE = 4;
