import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { iotHubDeviceGatewayConfigSchema } from '#adapters/azure/iot-hub-device-gateway/config.ts';
import { verifyIotHubDeviceGateway } from '#adapters/azure/iot-hub-gateway-verification.ts';
import { eventStreamContract, measuredStreamContract } from '#core/contracts/event-stream.contract.ts';
import { VERIFICATION_MARK } from '#core/contracts/verification.ts';
import { EventHubsSite } from '../event-hubs-site.ts';
import { IotHub } from '../iot-hub.ts';
import { startVerify, verifyNow, verifySite } from '../verify-site.ts';

const TIMEOUT_MS = 180_000;
let site: EventHubsSite;
beforeAll(async () => {
  site = await EventHubsSite.start();
}, 300_000);
afterAll(() => site[Symbol.asyncDispose]());

const siteOf = (given: object = {}) => ({
  eventStream: { adapter: 'event-hubs-event-stream', ...site.settings(2, []), ...given },
});

describe('tribo verify of Event Hubs', () => {
  it(
    'opens what sends and what receives, and has a lease',
    async () => {
      const { code, ports } = await verifySite(siteOf());
      expect({ code, ports }).toMatchObject({ code: 0, ports: [{ ok: true, passed: 3, failed: [], problems: [] }] });
      expect(ports[0]!.leftOut).toHaveLength(3);
    },
    TIMEOUT_MS,
  );

  it(
    'runs the contract of streams on a hub that was made for it with --provision, and leaves no blob; says which where there is none',
    async () => {
      const eventStream = { ...siteOf().eventStream, timeoutMs: 15_000, accountEveryMs: 100 };
      const without = await startVerify({ eventStream }, ['--provision']).ended;
      expect(without).toMatchObject({
        code: 70,
        stdout: expect.stringMatching(/make the hub tribo-verify with what it lacks, group, early, store, compute/),
      });
      site.hubs.createHub(VERIFICATION_MARK, { partitions: 8, consumerGroups: ['group', 'early', 'store', 'compute'] });
      const { code, ports } = await verifySite({ eventStream }, ['--provision']);
      const cases = eventStreamContract.cases.length + measuredStreamContract.cases.length;
      expect({ code, ports }).toMatchObject({
        code: 0,
        ports: [{ ok: true, passed: 4 + cases - 2, failed: [], problems: [] }],
      });
      expect((await site.blobs()).filter((name) => name.includes(VERIFICATION_MARK))).toEqual([]);
      site.hubs.deleteHub(VERIFICATION_MARK);
    },
    2 * TIMEOUT_MS,
  );

  it.each([
    ['hub', { streams: { metrics: 'nobodys' } }, /not_found: [^]*-> deploy what it names/],
    ['consumer group', { tailConsumerGroup: 'nobodys' }, /failed_precondition: .*no consumer group nobodys/],
    ['container', { checkpointContainer: 'nobodys' }, /failed_precondition: [^]*nobodys/],
  ])(
    'fails where the %s is not there, and says which',
    async (_what, change, says) => {
      const { code, stdout } = await startVerify(siteOf(change)).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    TIMEOUT_MS,
  );
});

// The vendor's credentials want Entra's own servers: the command itself cannot sign in here.
describe('tribo verify of the gateway of IoT Hub', () => {
  it(
    'reads the hub of the routes, and has a command refused as nobody is its device',
    async () => {
      const { streams, ...place } = site.settings(2, []);
      const eventHub = streams.metrics;
      await using hub = await IotHub.start({ hubs: site.hubs, eventHub });
      const settings = iotHubDeviceGatewayConfigSchema.parse({ ...place, ...hub.place, eventHub });
      const verdict = await verifyNow((run) => verifyIotHubDeviceGateway(settings, { run }, hub.credential));
      expect(verdict).toMatchObject({ ok: true, passed: 3, failed: [], problems: [] });
      expect(verdict.leftOut).toHaveLength(2);
    },
    TIMEOUT_MS,
  );
});
