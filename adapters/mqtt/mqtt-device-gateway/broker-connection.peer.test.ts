import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { Mosquitto } from '#test/peers/mosquitto.ts';
import { TcpFaults } from '#test/peers/tcp-faults.ts';
import { BrokerConnection } from './broker-connection.ts';
import { mqttDeviceGatewayConfigSchema } from './config.ts';

let broker: Mosquitto;

beforeEach(async () => {
  broker = await Mosquitto.start();
});

afterEach(() => broker[Symbol.asyncDispose]());

async function opened(given: { readonly url?: string; readonly clientId?: string } = {}) {
  const clientId = given.clientId ?? 'gateway-1';
  const config = mqttDeviceGatewayConfigSchema.parse({ ...broker.gatewaySettings(clientId), ...given });
  const connection = await BrokerConnection.open(config, { clientId, receiveMaximum: 10, onMessage: () => undefined });
  return { connection, [Symbol.asyncDispose]: () => connection.close() };
}

function publishBy(connection: BrokerConnection, payload: Buffer, signal?: AbortSignal): Promise<boolean> {
  const topic = 'device/gauge-1/tribo/v1/acme/akron/press-7/command';
  return connection.publish({ topic, payload, qos: 1, properties: {} }, signal);
}

describe('a connection to a broker', () => {
  it('keeps nothing of what was published', async () => {
    await using open = await opened();
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const payloads: WeakRef<Buffer>[] = [];
    for (let i = 0; i < 10; i++) {
      const payload = Buffer.alloc(10_000);
      payloads.push(new WeakRef(payload));
      await publishBy(open.connection, payload);
    }
    // The client may keep the last one until the next.
    await until(() => {
      collectGarbage();
      return payloads.filter((payload) => payload.deref() !== undefined).length <= 1;
    }, 'what was published is let go');
  });

  it('ends without a word to whoever had stopped waiting before', async () => {
    await using open = await opened();
    const late = publishBy(open.connection, Buffer.from('1'), AbortSignal.abort());
    await expect(late).rejects.toMatchObject({ code: 'cancelled' });
    await broker.stop();
    await open.connection.ended;
    // A rejection that nobody handles fails the test.
    await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it('that is lost is told to who waits for the broker, and to who asks later', async () => {
    await using proxy = await TcpFaults.start({ port: broker.platformPort });
    await using lost = await opened({ url: `mqtts://127.0.0.1:${proxy.port}`, clientId: 'gateway-2' });
    const waiting = publishBy(lost.connection, Buffer.from('1'));
    proxy.down();
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    await expect(publishBy(lost.connection, Buffer.from('2'))).rejects.toMatchObject({ code: 'unavailable' });
  });
});
