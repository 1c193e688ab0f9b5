import { z } from 'zod';
import type { MachineKey } from '#core/domain/ids.ts';
import type { RelayedMessage } from '#core/ingestion/relayed-message.ts';
import { parseDeviceTopic } from '#core/ingestion/topics.ts';
import type { IncomingEvent, OutgoingEvent } from '../event-hubs-event-stream/client.ts';

/** What a route of IoT Hub put into the event hub. */
export type DeviceRecord =
  | {
      readonly kind: 'message';
      readonly device: string;
      /** As the device's topic had them. */
      readonly properties: Readonly<Record<string, unknown>>;
      readonly payload: Uint8Array;
      readonly atMs: number;
    }
  | {
      readonly kind: 'presence';
      readonly device: string;
      readonly online: boolean;
      /** A text that is greater than those of all events of the device before. */
      readonly order: string;
      readonly atMs: number;
    };

const SOURCE = 'iothub-message-source';
const OF_DEVICE = 'Telemetry';
const DEVICE = 'iothub-connection-device-id';
const MODULE = 'iothub-connection-module-id';

/** https://learn.microsoft.com/azure/iot-hub/iot-hub-non-telemetry-event-schema#connection-state-events */
const connectionState = z.object({
  opType: z.enum(['deviceConnected', 'deviceDisconnected']),
  operationTimestamp: z.iso.datetime(),
});
const connectionBody = z.object({ sequenceNumber: z.string().regex(/^[0-9A-F]+$/i) });

/** Reads an event of a route; undefined for one of another source, or of a module of a device. */
export function parseDeviceRecord(incoming: IncomingEvent): DeviceRecord | undefined {
  const { systemProperties, properties, body, enqueuedAtMs } = incoming;
  const device = systemProperties[DEVICE];
  if (typeof device !== 'string' || systemProperties[MODULE] !== undefined || !(body instanceof Uint8Array))
    return undefined;
  switch (systemProperties[SOURCE]) {
    case OF_DEVICE:
      // A copy: a held event must not keep the whole frame in memory.
      return { kind: 'message', device, properties, payload: Uint8Array.from(body), atMs: enqueuedAtMs };
    case 'deviceConnectionStateEvents': {
      const event = connectionState.safeParse(properties);
      const read = connectionBody.safeParse(jsonOf(body));
      if (!event.success || !read.success) return undefined;
      const { opType, operationTimestamp } = event.data;
      const { sequenceNumber: order } = read.data;
      return {
        ...{ kind: 'presence', device, order, online: opType === 'deviceConnected' },
        atMs: Date.parse(operationTimestamp),
      };
    }
    default:
      return undefined;
  }
}

/** A message as the route would have put it into the event hub, had the device sent it itself: what {@link parseDeviceRecord} reads. */
export function routedEvent({ device, topic, payload }: RelayedMessage): OutgoingEvent {
  const about = parseDeviceTopic(topic)!;
  return {
    body: payload,
    properties: { kind: about.kind, machine: about.machine },
    annotations: { [DEVICE]: device, [SOURCE]: OF_DEVICE },
  };
}

/**
 * Which of the device's machines the text names: by `tenant/site/machine`, or its end (`site/machine`, `machine`) where that is of one alone; without
 * a text, the only one. Undefined: none that is the device's.
 */
export function machineNamed(text: unknown, machines: readonly MachineKey[]): MachineKey | undefined {
  const named =
    typeof text === 'string' ? machines.filter((key) => key === text || key.endsWith(`/${text}`)) : machines;
  const isNone = text !== undefined && typeof text !== 'string';
  return named.length === 1 && !isNone ? named[0] : undefined;
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
