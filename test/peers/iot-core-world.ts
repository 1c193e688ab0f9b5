import type { z } from 'zod';
import { openDynamoTable } from '#adapters/aws/dynamo-table.ts';
import { openIotData } from '#adapters/aws/iot-core-device-gateway/client.ts';
import { iotCoreDeviceGatewayConfigSchema } from '#adapters/aws/iot-core-device-gateway/config.ts';
import { IotCoreDeviceGateway } from '#adapters/aws/iot-core-device-gateway/iot-core-device-gateway.ts';
import { iotCoreDeviceRegistryConfigSchema } from '#adapters/aws/iot-core-device-registry/config.ts';
import { provisioningTemplate } from '#adapters/aws/iot-core-device-registry/device-policy.ts';
import { IotCoreDeviceRegistry } from '#adapters/aws/iot-core-device-registry/iot-core-device-registry.ts';
import { openKinesis } from '#adapters/aws/kinesis-event-stream/client.ts';
import { systemClock } from '#core/clock.ts';
import type { DeviceId, MachineKey, TenantId } from '#core/domain/ids.ts';
import { CONTRACT_PLACES, watchOpen } from './gateway-over-log.ts';
import { IotCoreDevice } from './iot-core-device.ts';
import { IotCoreSite } from './iot-core-site.ts';
import { Moto } from './moto.ts';

const REGION = 'eu-central-1';

export interface IotCoreWorldOptions {
  readonly change?: Partial<z.input<typeof iotCoreDeviceGatewayConfigSchema>>;
  /** By what the gateway and its registry reach an endpoint. */
  readonly via?: (endpoint: string) => Promise<string>;
}

/** AWS in one process of moto, and the worlds in it, one after another. */
export class IotCoreWorlds implements AsyncDisposable {
  readonly #moto: Moto;

  static async start(): Promise<IotCoreWorlds> {
    return new IotCoreWorlds(await Moto.start());
  }

  private constructor(moto: Moto) {
    this.#moto = moto;
  }

  /** Things and rules are of the whole account: each world begins with an empty one. */
  async open({ change = {}, via = async (endpoint) => endpoint }: IotCoreWorldOptions = {}) {
    await this.#moto.reset();
    const site = await IotCoreSite.make(this.#moto, REGION);
    const { core, kinesis, iot } = site;
    const endpoint = await via(this.#moto.endpoint);
    const timeouts = change.timeoutMs === undefined ? {} : { timeoutMs: change.timeoutMs };
    const registryConfig = iotCoreDeviceRegistryConfigSchema.parse({
      ...{ ...site.registry, endpoint, changePollMs: 100, ...timeouts },
    });
    const devices = await IotCoreDeviceRegistry.open(registryConfig, systemClock);
    const config = iotCoreDeviceGatewayConfigSchema.parse({
      ...{ ...site.gateway, endpoint, dataEndpoint: await via(core.endpoint) },
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
        const table = await openDynamoTable({ region: REGION, endpoint, table: config.stateTable });
        const iotData = await openIotData({ region: REGION, endpoint: config.dataEndpoint });
        return watchOpen({ kinesis: await openKinesis(config), table, iotData }, openClients);
      });
      gateways.push(gateway);
      return gateway;
    };
    return {
      ...{
        gateway: reopen(),
        reopen,
        openClients,
        devices,
        core,
        kinesis,
        iot,
        thingType: site.registry.thingType,
        config,
        refusals,
        problems,
        ...CONTRACT_PLACES,
      },
      connect: (id: string, secret: string, as = id) => IotCoreDevice.connect(core.devices, secret, as),
      /** As a stack does for an authority of the tenant's devices, by its certificate. */
      registerAuthority: (certificate: string, tenant: TenantId) => {
        const { thingType, policies } = site.registry;
        core.registerAuthority(certificate, provisioningTemplate(tenant, thingType, policies));
      },
      addDevice: async (id: string, tenant: TenantId, machines: readonly MachineKey[]) =>
        (await devices.addDevice({ id: id as DeviceId, tenant, machines })).secret,
      async [Symbol.asyncDispose]() {
        for (const gateway of gateways) await gateway.close();
        await site[Symbol.asyncDispose]();
        devices.close();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#moto[Symbol.asyncDispose]();
  }
}
