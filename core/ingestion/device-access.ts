import type { MachineKey } from '../domain/ids.ts';
import type { DeviceMessage, MessageContent } from '../ports/device-gateway.ts';
import type { Device } from '../ports/device-registry.ts';
import type { RefusalReason } from './intake-counters.ts';
import type { TopicMapping } from './mapping.ts';
import { parseDeviceTopic, type DeviceTopic } from './topics.ts';

export type ForeignTopic = 'foreign-topic' | 'foreign-machine';

/** What one device may do with topics, each of which is remembered: a device uses few of them, and each of its messages names one. */
export class DeviceAccess {
  readonly device: Device;
  readonly machines: ReadonlySet<MachineKey>;
  readonly #known = new Map<string, DeviceTopic | ForeignTopic>();
  readonly #maxKnown: number;

  constructor(device: Device) {
    this.device = device;
    this.machines = new Set(device.machines);
    this.#maxKnown = Math.max(LEAST_KNOWN, TOPICS_A_MACHINE * this.machines.size);
  }

  resolve(topic: string): DeviceTopic | ForeignTopic {
    let access = this.#known.get(topic);
    if (access === undefined) {
      const parsed = parseDeviceTopic(topic);
      access = parsed === undefined ? 'foreign-topic' : this.machines.has(parsed.machine) ? parsed : 'foreign-machine';
      if (this.#known.size >= this.#maxKnown) this.#known.clear();
      this.#known.set(topic, access);
    }
    return access;
  }

  /** What the device published to the topic, as intake takes it, or why it is refused. A foreign topic is read by the mapping, where there is one. */
  messageOf(topic: string, payload: Uint8Array, mapping: TopicMapping | undefined): DeviceMessage | RefusalReason {
    const resolved = this.resolve(topic);
    const { tenant, id: sender, machines } = this.device;
    if (typeof resolved === 'object') {
      const content = contentOf(resolved, payload);
      return content === undefined ? 'foreign-topic' : { tenant, machine: resolved.machine, sender, content };
    }
    const mapped = mapping?.map(topic, payload);
    if (mapped === undefined) return resolved;
    const machine = mapped.machine ?? machines[0];
    if (machine === undefined || !this.machines.has(machine)) return 'foreign-machine';
    return { tenant, machine, sender, content: mapped.content };
  }
}

function contentOf(topic: DeviceTopic, payload: Uint8Array): MessageContent | undefined {
  if (topic.kind === 'waveform') return { kind: 'waveform-json', sensor: topic.sensor, payload };
  return topic.kind === 'telemetry' ? { kind: 'telemetry', payload } : undefined;
}

const LEAST_KNOWN = 512;
/** Telemetry, and a few sensors. */
const TOPICS_A_MACHINE = 4;
