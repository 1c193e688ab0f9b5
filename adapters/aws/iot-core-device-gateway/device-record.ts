import { z } from 'zod';

/** What a topic rule put into Kinesis. */
export type DeviceRecord =
  | {
      readonly kind: 'message';
      /** The client's id, here and below. */
      readonly device: string;
      readonly topic: string;
      readonly payload: Uint8Array;
      /** When IoT Core had it; unknown of one that came by an error action. */
      readonly atMs: number | undefined;
    }
  | {
      readonly kind: 'presence';
      readonly device: string;
      /** Of the connection: each has one of its own. */
      readonly session: string;
      readonly online: boolean;
      /** Whether the client said goodbye. */
      readonly isClean: boolean;
      readonly atMs: number;
    }
  | {
      readonly kind: 'subscriptions';
      readonly device: string;
      readonly session: string;
      readonly isSubscribed: boolean;
      readonly topics: readonly string[];
      readonly atMs: number;
    };

/** A message whose time is known. */
export interface SentMessage {
  readonly device: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly atMs: number;
}

const base64 = z.base64().transform((text) => Buffer.from(text, 'base64'));
const clientId = z.string().min(1);
const topic = z.string().min(1);

const message = z
  .object({ payload: base64, topic, clientId, timestamp: z.number() })
  .transform(({ timestamp: atMs, clientId: device, ...rest }) => ({ kind: 'message' as const, ...rest, device, atMs }));

const client = { clientId, sessionIdentifier: z.string(), timestamp: z.number() };
const connected = z
  .object({ ...client, eventType: z.literal('connected') })
  .transform((event) => ({ ...presenceOf(event), online: true, isClean: false }));
const disconnected = z
  .object({ ...client, eventType: z.literal('disconnected'), clientInitiatedDisconnect: z.boolean().default(false) })
  .transform((event) => ({ ...presenceOf(event), online: false, isClean: event.clientInitiatedDisconnect }));
const subscriptions = z
  .object({ ...client, eventType: z.enum(['subscribed', 'unsubscribed']), topics: z.array(z.string()) })
  .transform(({ clientId: device, sessionIdentifier: session, timestamp: atMs, eventType, topics }) => ({
    ...{ kind: 'subscriptions' as const, device, session, atMs, topics },
    isSubscribed: eventType === 'subscribed',
  }));
const lifecycle = z.union([connected, disconnected, subscriptions]);

/** What an error action has of the message whose rule failed. */
const failed = z.object({ base64OriginalPayload: base64, topic, clientId });

/** Reads a record of a topic rule, or of its error action; undefined for any other. */
export function parseDeviceRecord(data: Uint8Array): DeviceRecord | undefined {
  const json = jsonOf(data);
  const read = z.union([message, lifecycle]).safeParse(json);
  if (read.success) return read.data;
  const error = failed.safeParse(json);
  if (!error.success) return undefined;
  const { base64OriginalPayload: payload, clientId: device, topic } = error.data;
  if (topic.startsWith('$aws/events/')) return lifecycle.safeParse(jsonOf(payload)).data;
  return { kind: 'message', device, topic, payload, atMs: undefined };
}

/** A message as the topic rule writes it, for whoever stands in for the rule. */
export function messageRecord({ device, topic, payload, atMs }: SentMessage): Uint8Array {
  const fields = { payload: Buffer.from(payload).toString('base64'), topic, clientId: device, timestamp: atMs };
  return Buffer.from(JSON.stringify(fields));
}

function presenceOf({ clientId, sessionIdentifier, timestamp }: z.infer<z.ZodObject<typeof client>>) {
  return { kind: 'presence' as const, device: clientId, session: sessionIdentifier, atMs: timestamp };
}

function jsonOf(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
}
