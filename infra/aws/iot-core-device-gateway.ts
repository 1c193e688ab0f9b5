import { Construct } from 'constructs';
import { DataAwsIotEndpoint } from '@cdktf/provider-aws/lib/data-aws-iot-endpoint/index.js';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { IotTopicRule } from '@cdktf/provider-aws/lib/iot-topic-rule/index.js';
import { topicRules } from '../../adapters/aws/iot-core-device-gateway/topic-rules.ts';
import type { AwsStack } from './aws-stack.ts';
import type { DeviceStreams } from './device-streams.ts';
import { policy, trust, verbatim } from './policy.ts';
import type { DeviceGatewaySection } from './ports.ts';

/** The rules that put what devices send into Kinesis, each with another stream for what it cannot put into the first. */
export class IotCoreDeviceGateway extends Construct {
  readonly section: DeviceGatewaySection;
  /** By the adapter's name of them. */
  readonly ruleNames: readonly string[];

  constructor(
    scope: AwsStack,
    id: string,
    { streams, keyArn }: { readonly streams: DeviceStreams; readonly keyArn: string },
  ) {
    super(scope, id);
    const { names } = scope.site;
    const role = new IamRole(this, 'rules-role', {
      name: names.of('device-rules', 64),
      description: 'Rules of IoT Core: put what devices send into its streams',
      assumeRolePolicy: trust('iot.amazonaws.com', scope.account),
    });
    const rights = new IamRolePolicy(this, 'rules-rights', {
      name: 'put-messages',
      role: role.id,
      policy: policy([
        { Effect: 'Allow', Action: 'kinesis:PutRecord', Resource: [streams.messages.arn, streams.errors.arn] },
        { Effect: 'Allow', Action: 'kms:GenerateDataKey', Resource: [keyArn] },
      ]),
    });
    const targets = { deviceStream: streams.messages.nameInput!, errorStream: streams.errors.nameInput! };
    const rules = topicRules({
      ...targets,
      roleArn: role.arn,
    });
    this.ruleNames = Object.entries(rules).map(([name, { sql, awsIotSqlVersion, actions, errorAction }]) => {
      const rule = new IotTopicRule(this, name, {
        name: names.underscored(name.replace(/^tribo_/, '')),
        enabled: true,
        sql: verbatim(sql!),
        sqlVersion: awsIotSqlVersion!,
        kinesis: actions!.map(({ kinesis }) => put(kinesis!)),
        errorAction: { kinesis: put(errorAction!.kinesis!) },
        // A rule that may not write yet sends what devices were told is taken to nowhere.
        dependsOn: [rights],
      });
      return rule.name;
    });
    const endpoint = new DataAwsIotEndpoint(this, 'endpoint', { endpointType: 'iot:Data-ATS' });
    this.section = {
      dataEndpoint: `https://${endpoint.endpointAddress}`,
      ...targets,
      stateTable: streams.state.name,
    };
  }
}

interface KinesisAction {
  readonly roleArn: string | undefined;
  readonly streamName: string | undefined;
  readonly partitionKey?: string | undefined;
}

function put({ roleArn, streamName, partitionKey }: KinesisAction) {
  return { roleArn: roleArn!, streamName: streamName!, partitionKey: verbatim(partitionKey!) };
}
