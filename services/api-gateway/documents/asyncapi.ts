import type { z } from 'zod';
import type { Addresses } from '../../shared/config/addresses.ts';
import { CLOUD_EVENTS } from '../schemas/cloud-events.ts';
import { commandPayloadSchema } from '../schemas/commands.ts';
import { SSE_EVENTS } from '../schemas/events.ts';
import { statusPayloadSchema, telemetryPayloadSchema, waveformPayloadSchema } from '../schemas/mqtt.ts';
import { ComponentSchemas } from './json-schemas.ts';

interface Topic {
  readonly address: string;
  /** As the platform sees it. */
  readonly action: 'send' | 'receive';
  readonly summary: string;
  readonly qos: 0 | 1;
  readonly retain: boolean;
  readonly payload: z.ZodType;
}

const TOPICS: Readonly<Record<string, Topic>> = {
  telemetry: {
    address: 'tribo/v1/{tenant}/{site}/{machine}/telemetry',
    action: 'receive',
    summary: 'Readings. With QoS 1 the PUBACK comes after they are durable.',
    qos: 1,
    retain: false,
    payload: telemetryPayloadSchema,
  },
  waveform: {
    address: 'tribo/v1/{tenant}/{site}/{machine}/waveform/{sensor}',
    action: 'receive',
    summary: 'Vibration samples, whole or in parts.',
    qos: 1,
    retain: false,
    payload: waveformPayloadSchema,
  },
  status: {
    address: 'tribo/v1/{tenant}/{site}/{machine}/status',
    action: 'receive',
    summary:
      'Whether the device is there. The platform takes it as presence and keeps no message: the retain flag has no effect.',
    qos: 1,
    retain: false,
    payload: statusPayloadSchema,
  },
  command: {
    address: 'tribo/v1/{tenant}/{site}/{machine}/command',
    action: 'send',
    summary:
      'What the machine is to do (`POST /v1/machines/{machine}/commands`). Kept for a device that is away until it expires; sent again until the PUBACK.',
    qos: 1,
    retain: false,
    payload: commandPayloadSchema,
  },
};

const PARAMETERS: Readonly<Record<string, string>> = {
  tenant: 'The tenant of the device',
  site: 'The site of the machine',
  machine: 'A machine that the device may speak for',
  sensor: 'A sensor of the machine',
};

const DEFAULT_ADDRESSES: Addresses = { url: 'http://127.0.0.1:8080', mqttUrl: 'mqtt://127.0.0.1:1883' };

/** MQTT topics and the event stream as AsyncAPI 3, at these addresses. */
export function asyncApiDocument({ url, mqttUrl } = DEFAULT_ADDRESSES): object {
  const [http, mqtt] = [new URL(url), new URL(mqttUrl)];
  const schemas = new ComponentSchemas('#/components/schemas/');
  const channels: Record<string, object> = {};
  const operations: Record<string, object> = {};
  const events = Object.entries(SSE_EVENTS).map(([name, schema]) => {
    return [name, { name, contentType: 'application/json', payload: schemas.output(schema) }] as const;
  });
  for (const [name, topic] of Object.entries(TOPICS)) {
    channels[name] = {
      address: topic.address,
      servers: [{ $ref: '#/servers/mqtt' }],
      parameters: parametersOf(topic.address),
      messages: { [name]: { name, contentType: 'application/json', payload: schemas.input(topic.payload) } },
    };
    operations[`${topic.action}${name[0]!.toUpperCase()}${name.slice(1)}`] = {
      action: topic.action,
      summary: topic.summary,
      channel: { $ref: `#/channels/${name}` },
      bindings: { mqtt: { qos: topic.qos, retain: topic.retain } },
    };
  }
  channels['events'] = {
    address: '/v1/events',
    servers: [{ $ref: '#/servers/http' }],
    description:
      'Server-Sent Events: `event` is the message’s name, `data` its payload. Lines that begin with ":" are heartbeats.',
    messages: Object.fromEntries(events),
    bindings: { http: { method: 'GET' } },
  };
  operations['sendEvents'] = { action: 'send', summary: 'What happens now', channel: { $ref: '#/channels/events' } };
  channels['webhook'] = {
    address: null,
    description:
      'The address that TRIBO_WEBHOOK_URL names: CloudEvents 1.0 by POST as `application/cloudevents+json`, at least once with a stable id, of the kinds in TRIBO_WEBHOOK_EVENTS. Signed as in Standard Webhooks: `webhook-signature` is `v1,` and the base64 HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{body}`.',
    messages: Object.fromEntries(
      Object.entries(CLOUD_EVENTS).map(([name, schema]) => {
        return [name, { name, contentType: 'application/cloudevents+json', payload: schemas.output(schema) }] as const;
      }),
    ),
    bindings: { http: { method: 'POST' } },
  };
  operations['notify'] = {
    action: 'send',
    summary: 'What people and other systems are told of',
    channel: { $ref: '#/channels/webhook' },
  };
  return {
    asyncapi: '3.0.0',
    info: { title: 'Tribo', version: '1', license: { name: 'Apache-2.0' } },
    servers: {
      mqtt: {
        host: mqtt.host,
        protocol: mqtt.protocol === 'mqtts:' ? 'secure-mqtt' : 'mqtt',
        protocolVersion: '3.1.1',
        description:
          'User name: device id; password: its secret; client id: the device id, or `<device id>:<anything>` for further connections',
      },
      http: { host: http.host, protocol: http.protocol.slice(0, -1) },
    },
    defaultContentType: 'application/json',
    channels,
    operations,
    components: { schemas: schemas.all() },
  };
}

function parametersOf(address: string): object {
  const names = [...address.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
  return Object.fromEntries(names.map((name) => [name, { description: PARAMETERS[name] }]));
}
