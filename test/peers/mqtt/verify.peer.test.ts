import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Mosquitto } from '../mosquitto.ts';
import { startVerify, verifySite } from '../verify-site.ts';

let broker: Mosquitto;
beforeAll(async () => {
  broker = await Mosquitto.start();
}, 120_000);
afterAll(() => broker[Symbol.asyncDispose]());

const siteOf = (given: object = {}) => ({
  deviceGateway: { adapter: 'mqtt-device-gateway', ...broker.gatewaySettings('gateway-1'), ...given },
});

describe('tribo verify of a broker', () => {
  it('connects beside the gateway, and is told what it may hear and say', async () => {
    const { code, ports } = await verifySite(siteOf());
    expect({ code, ports }).toMatchObject({ code: 0, ports: [{ ok: true, passed: 3, failed: [], problems: [] }] });
    expect(ports[0]!.leftOut).toHaveLength(2);
  }, 120_000);

  it.each([
    [
      'may not say commands there',
      () => ({ topicRoot: 'elsewhere' }),
      /permission_denied: [^]*-> the role needs: to connect/,
    ],
    ['finds no broker', () => ({ url: 'mqtts://127.0.0.1:1' }), /unavailable: [^]*-> see that the service runs/],
  ])(
    'fails where it %s',
    async (_what, change, says) => {
      const { code, stdout } = await startVerify(siteOf(change())).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    120_000,
  );
});
