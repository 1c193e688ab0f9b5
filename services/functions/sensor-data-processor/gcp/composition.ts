import { once } from 'node:events';
import { createServer } from 'node:http';
import { z } from 'zod';
import { BrokerPublisher } from '#adapters/mqtt/mqtt-device-gateway/broker-publisher.ts';
import {
  mqttDeviceGatewayConfigSchema,
  type MqttDeviceGatewayConfig,
} from '#adapters/mqtt/mqtt-device-gateway/config.ts';
import { PortError } from '#core/errors.ts';
import { RelayedMessages } from '#core/ingestion/relayed-message.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import { placeShape, settingsOf } from '../function-settings.ts';
import { PATIENCE, pushedReadings, type RelayOne } from './pushed-readings.ts';

export const NAME = 'sensor-data-processor';

/** Of one attempt: with all of its tries a call ends before Pub/Sub gives it up (infra/gcp/push-functions.ts). */
const CALL_TIMEOUT_MS = 5_000;
/** Cloud Run gives what it runs no time between calls, so that it says nothing then. */
const KEEP_ALIVE_S = 900;
/** The least that the adapter takes: nothing waits in a session that subscribes to nothing. */
const SESSION_S = 60;

const file = z.string().startsWith('/', 'must be the path of a file');

const environmentSchema = z
  .object({
    /** Cloud Run sets it. */
    PORT: z.coerce.number().int().min(1).max(65_535),
    TRIBO_BROKER_URL: mqttDeviceGatewayConfigSchema.shape.url,
    TRIBO_BROKER_CA_FILE: file,
    TRIBO_BROKER_CERTIFICATE_FILE: file,
    TRIBO_BROKER_KEY_FILE: file,
    ...placeShape,
  })
  .transform(({ PORT: port, TRIBO_TENANT: tenant, TRIBO_SITE: site, ...broker }) => ({
    ...{ port, tenant, site },
    broker: {
      url: broker.TRIBO_BROKER_URL,
      caFile: broker.TRIBO_BROKER_CA_FILE,
      certificateFile: broker.TRIBO_BROKER_CERTIFICATE_FILE,
      keyFile: broker.TRIBO_BROKER_KEY_FILE,
      ...{ clientId: NAME, keepAliveS: KEEP_ALIVE_S, sessionExpiryS: SESSION_S },
      ...{ connectTimeoutMs: CALL_TIMEOUT_MS, timeoutMs: CALL_TIMEOUT_MS },
    },
  }));

/** The function at Google Cloud: what it is pushed goes to the broker of the devices, as each of them would publish it. */
export async function composePushedReadings(
  env: Readonly<Record<string, string | undefined>>,
): Promise<RunningService> {
  const { port, tenant, site, broker } = settingsOf(environmentSchema, env);
  const config = mqttDeviceGatewayConfigSchema.parse(broker);
  const publisher = new BrokerPublisher(config);
  const app = pushedReadings({
    messages: new RelayedMessages({ tenant, site }),
    relay: relayTo(publisher, config),
    patience: PATIENCE,
    logger: createLogger({ service: NAME }),
  });
  const server = createServer(app).listen(port);
  await once(server, 'listening');
  return {
    async close() {
      // What is under way is answered.
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      await closed;
      await publisher.close();
    },
  };
}

function relayTo(publisher: BrokerPublisher, { topicRoot, maxPayloadBytes }: MqttDeviceGatewayConfig): RelayOne {
  return async ({ device, topic, payload }) => {
    // A broker ends the connection of whoever sends it more, and so fails the others of this function.
    if (payload.byteLength > maxPayloadBytes)
      throw new PortError(
        'invalid_argument',
        `a message of ${device} has ${payload.byteLength} bytes, the broker takes ${maxPayloadBytes}; send less at a time`,
      );
    await publisher.publish({
      topic: `${topicRoot}/${device}/${topic}`,
      payload: Buffer.from(payload),
      properties: {},
    });
  };
}
