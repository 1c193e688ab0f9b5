import type { z } from 'zod';
import type { Kinesis } from '@aws-sdk/client-kinesis';
import { openDynamoTable } from '#adapters/aws/dynamo-table.ts';
import { openIotData } from '#adapters/aws/iot-core-device-gateway/client.ts';
import { iotCoreDeviceGatewayConfigSchema } from '#adapters/aws/iot-core-device-gateway/config.ts';
import { IotCoreDeviceGateway } from '#adapters/aws/iot-core-device-gateway/iot-core-device-gateway.ts';
import { topicRules } from '#adapters/aws/iot-core-device-gateway/topic-rules.ts';
import { iotCoreDeviceRegistryConfigSchema } from '#adapters/aws/iot-core-device-registry/config.ts';
import { IotCoreDeviceRegistry } from '#adapters/aws/iot-core-device-registry/iot-core-device-registry.ts';
import { openKinesis } from '#adapters/aws/kinesis-event-stream/client.ts';
import { systemClock } from '#core/clock.ts';
import type { DeviceId, MachineKey, TenantId } from '#core/domain/ids.ts';
import { CONTRACT_PLACES, watchOpen } from './gateway-over-log.ts';
import { IotCore } from './iot-core.ts';
import { makeIotSite } from './moto-iot.ts';
import { makeTable } from './moto-table.ts';
import { Moto } from './moto.ts';

const REGION = 'eu-central-1';
const ERROR_STREAM = 'akron-errors';
const STATE_TABLE = 'akron-state';
/** Where the rules put what devices send. */
export const DEVICE_STREAM = 'akron-devices';

export interface IotCoreWorldOptions {
  readonly change?: Partial<z.input<typeof iotCoreDeviceGatewayConfigSchema>>;
  /** By what the gateway and its registry reach an endpoint. */
  readonly via?: (endpoint: string) => Promise<string>;
}

/** AWS in one process of moto, and the worlds in it, one after another. */
export class IotCoreWorlds implements AsyncDisposable {
  readonly #moto: Moto;
  readonly kinesis: Kinesis;

  static async start(): Promise<IotCoreWorlds> {
    const moto = await Moto.start();
    const { NodeHttpHandler } = await import('@smithy/node-http-handler');
    const { Kinesis } = await import('@aws-sdk/client-kinesis');
    const requestHandler = new NodeHttpHandler();
    return new IotCoreWorlds(moto, new Kinesis({ region: REGION, endpoint: moto.endpoint, requestHandler }));
  }

  private constructor(moto: Moto, kinesis: Kinesis) {
    this.#moto = moto;
    this.kinesis = kinesis;
  }

  /** Things and rules are of the whole account: each world begins with an empty one. */
  async open({ change = {}, via = async (endpoint) => endpoint }: IotCoreWorldOptions = {}) {
    const [moto, kinesis] = [this.#moto, this.kinesis];
    await moto.reset();
    const site = await makeIotSite(moto, REGION);
    for (const StreamName of [DEVICE_STREAM, ERROR_STREAM]) await kinesis.createStream({ StreamName, ShardCount: 1 });
    await makeTable(moto, REGION, STATE_TABLE);
    const core = await startCore(moto, site.iot, kinesis);
    const endpoint = await via(moto.endpoint);
    const timeouts = change.timeoutMs === undefined ? {} : { timeoutMs: change.timeoutMs };
    const registryConfig = iotCoreDeviceRegistryConfigSchema.parse({
      ...{ ...site.settings, endpoint, changePollMs: 100, ...timeouts },
    });
    const devices = await IotCoreDeviceRegistry.open(registryConfig, systemClock);
    const config = iotCoreDeviceGatewayConfigSchema.parse({
      ...{ region: REGION, endpoint, dataEndpoint: await via(core.endpoint) },
      ...{ deviceStream: DEVICE_STREAM, errorStream: ERROR_STREAM, stateTable: STATE_TABLE },
      ...{ pollMs: 20, leaseMs: 60_000, checkpointIntervalMs: 50, offerAgainMs: 20, ...change },
    });
    const [refusals, problems]: [string[], (readonly [string, unknown])[]] = [[], []];
    const openClients = new Set<object>();
    const gateways: IotCoreDeviceGateway[] = [];
    const reopen = (when: Promise<unknown> = Promise.resolve()) => {
      const dependencies = {
        ...{ devices, refuse: (reason: string) => void refusals.push(reason) },
        onProblem: (what: string, error: unknown) => void problems.push([what, error]),
      };
      const gateway = new IotCoreDeviceGateway(config, dependencies, async () => {
        await when;
        const table = await openDynamoTable({ region: REGION, endpoint, table: STATE_TABLE });
        const iotData = await openIotData({ region: REGION, endpoint: config.dataEndpoint });
        return watchOpen({ kinesis: await openKinesis(config), table, iotData }, openClients);
      });
      gateways.push(gateway);
      return gateway;
    };
    return {
      ...{ gateway: reopen(), reopen, openClients, devices, core, config, refusals, problems, ...CONTRACT_PLACES },
      connect: (id: string, secret: string, as = id) => core.connect(secret, as),
      addDevice: async (id: string, tenant: TenantId, machines: readonly MachineKey[]) =>
        (await devices.addDevice({ id: id as DeviceId, tenant, machines })).secret,
      async [Symbol.asyncDispose]() {
        for (const gateway of gateways) await gateway.close();
        await core[Symbol.asyncDispose]();
        devices.close();
        site.iot.destroy();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kinesis.destroy();
    await this.#moto[Symbol.asyncDispose]();
  }
}

/** IoT Core with the rules of a site. */
async function startCore(moto: Moto, iot: Parameters<typeof IotCore.start>[1], kinesis: Kinesis): Promise<IotCore> {
  const roleArn = 'arn:aws:iam::123456789012:role/tribo-rules';
  const rules = topicRules({ deviceStream: DEVICE_STREAM, errorStream: ERROR_STREAM, roleArn });
  for (const [ruleName, topicRulePayload] of Object.entries(rules))
    await iot.createTopicRule({ ruleName, topicRulePayload });
  return IotCore.start(moto.endpoint, iot, kinesis, Object.keys(rules));
}
