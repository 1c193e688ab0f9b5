import {
  deployedChecks,
  VERIFICATION_MARK,
  type Verification,
  type VerificationTools,
} from '#core/contracts/verification.ts';
import { awsCall } from './aws-errors.ts';
import type { DynamodbCheckpointStoreConfig } from './dynamodb-checkpoint-store/config.ts';
import { IOT_CODES } from './iot-codes.ts';
import { openIotData } from './iot-core-device-gateway/client.ts';
import type { IotCoreDeviceGatewayConfig } from './iot-core-device-gateway/config.ts';
import { openKinesis } from './kinesis-event-stream/client.ts';
import { readingCheck } from './kinesis-verification.ts';

/** Of a command that nobody is for. */
const EXPIRY_S = 60;

/** Reads the streams of the rules, and commands a machine that nobody is. With the contract of checkpoints in the table of leases. */
export async function iotCoreGatewayVerification(
  settings: IotCoreDeviceGatewayConfig,
  tools: VerificationTools,
  verifyTable: (settings: DynamodbCheckpointStoreConfig, tools: VerificationTools) => Promise<Verification>,
): Promise<Verification> {
  const { region, endpoint, dataEndpoint, deviceStream, errorStream, stateTable: table, timeoutMs } = settings;
  const state = await verifyTable({ region, endpoint, table, timeoutMs }, tools);
  const kinesis = await openKinesis(settings);
  const data = await openIotData({ ...settings, endpoint: dataEndpoint });
  const streams = [deviceStream, ...(errorStream === undefined ? [] : [errorStream])];
  const topic = `tribo/v1/${[VERIFICATION_MARK, VERIFICATION_MARK, VERIFICATION_MARK].join('/')}/command`;
  const command = () =>
    awsCall({ what: `publish a command to ${topic}`, timeoutMs, codes: IOT_CODES }, (signal) =>
      data.publish(topic, new Uint8Array(), EXPIRY_S, signal),
    );
  const checks = [
    ...streams.map((name) => readingCheck(kinesis, name, timeoutMs)),
    { name: 'IoT Core takes a command', run: command },
  ];
  return {
    makes: `a message to ${topic}, which nobody hears; ${state.makes}`,
    needs: `kinesis:ListShards, GetShardIterator, GetRecords on ${streams.map((name) => `stream/${name}`).join(', ')}; iot:Publish on topic/tribo/v1/*/command; ${state.needs}`,
    contracts: [
      deployedChecks('device-gateway', checks, [
        {
          name: 'the contract of device gateways: what devices send comes to intake',
          why: 'what is sent would be taken in',
          byHand: 'let one device of the site connect, and see its readings and `tribo device list`',
        },
        {
          name: 'the topic rules are there, with a role that may put records',
          why: 'the services may not read rules',
          byHand:
            '`aws iot list-topic-rules`: those of docs/adapters/iot-core-device-gateway.md; the metric RuleExecutions Failure is 0',
        },
      ]),
      ...state.contracts,
    ],
    sweep: (isOver) => state.sweep(isOver),
    close: async () => {
      kinesis.close();
      data.close();
      await state.close();
    },
  };
}
