import type { IoT } from '@aws-sdk/client-iot';
import type { Kinesis } from '@aws-sdk/client-kinesis';
import { topicRules } from '#adapters/aws/iot-core-device-gateway/topic-rules.ts';
import { IotCore } from './iot-core.ts';
import { makeIotSite } from './moto-iot.ts';
import { makeTable } from './moto-table.ts';
import type { Moto } from './moto.ts';

const ROLE_ARN = 'arn:aws:iam::123456789012:role/tribo-rules';
const ERROR_STREAM = 'akron-errors';
const STATE_TABLE = 'akron-devices';
/** Where the rules put what devices send. */
export const DEVICE_STREAM = 'akron-devices';

/** What a stack makes for a site whose devices are at IoT Core, with IoT Core itself. */
export class IotCoreSite implements AsyncDisposable {
  readonly core: IotCore;
  /** Of the registry of devices, and of their gateway. */
  readonly registry: Awaited<ReturnType<typeof makeIotSite>>['settings'];
  readonly gateway: ReturnType<typeof gatewaySettings>;
  readonly kinesis: Kinesis;
  readonly iot: IoT;

  /** In an account that has nothing of it yet. */
  static async make(moto: Moto, region: string): Promise<IotCoreSite> {
    const { iot, settings } = await makeIotSite(moto, region);
    const { Kinesis } = await import('@aws-sdk/client-kinesis');
    const { NodeHttpHandler } = await import('@smithy/node-http-handler');
    const kinesis = new Kinesis({ region, endpoint: moto.endpoint, requestHandler: new NodeHttpHandler() });
    for (const StreamName of [DEVICE_STREAM, ERROR_STREAM]) await kinesis.createStream({ StreamName, ShardCount: 1 });
    await makeTable(moto, region, STATE_TABLE);
    const rules = topicRules({ deviceStream: DEVICE_STREAM, errorStream: ERROR_STREAM, roleArn: ROLE_ARN });
    for (const [ruleName, topicRulePayload] of Object.entries(rules))
      await iot.createTopicRule({ ruleName, topicRulePayload });
    const core = await IotCore.start(moto.endpoint, iot, kinesis, Object.keys(rules));
    return new IotCoreSite({ iot, kinesis }, core, settings);
  }

  private constructor(
    { iot, kinesis }: { readonly iot: IoT; readonly kinesis: Kinesis },
    core: IotCore,
    registry: IotCoreSite['registry'],
  ) {
    this.iot = iot;
    this.kinesis = kinesis;
    this.core = core;
    this.registry = registry;
    this.gateway = gatewaySettings(registry, core);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.core[Symbol.asyncDispose]();
    this.iot.destroy();
    this.kinesis.destroy();
  }
}

function gatewaySettings({ region, endpoint }: IotCoreSite['registry'], { endpoint: dataEndpoint }: IotCore) {
  const streams = { deviceStream: DEVICE_STREAM, errorStream: ERROR_STREAM };
  return { region, endpoint, dataEndpoint, ...streams, stateTable: STATE_TABLE };
}
