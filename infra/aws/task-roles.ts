import { Construct } from 'constructs';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { iotCoreDeviceGatewayPermissions } from '../../adapters/aws/iot-core-device-gateway/permissions.ts';
import { iotCoreDeviceRegistryPermissions } from '../../adapters/aws/iot-core-device-registry/permissions.ts';
import { kinesisEventStreamPermissions } from '../../adapters/aws/kinesis-event-stream/permissions.ts';
import { s3ObjectStorePermissions } from '../../adapters/aws/s3-object-store/permissions.ts';
import { sagemakerModelInferencePermissions } from '../../adapters/aws/sagemaker-model-inference/permissions.ts';
import { secretsManagerSecretStorePermissions } from '../../adapters/aws/secrets-manager-secret-store/permissions.ts';
import { snsNotifierPermissions } from '../../adapters/aws/sns-notifier/permissions.ts';
import { kafkaEventStreamPermissions } from '../../adapters/kafka/kafka-event-stream/permissions.ts';
import { STREAMS } from '../../core/domain/event.ts';
import { INFERENCE_SERVICES, SERVICE_PORTS, type CloudPort } from '../service-ports.ts';
import type { AwsStack } from './aws-stack.ts';
import type { DataStack } from './data-stack.ts';
import { statementsFor } from './grants.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';
import { policy, trust, type Statement } from './policy.ts';
import type { AwsPorts } from './ports.ts';
import { taskRoleName } from './role-names.ts';

interface Parts {
  readonly ports: AwsPorts;
  readonly keyArn: string;
  readonly data: DataStack;
  /** Who takes the role of a service, and hands it to that service alone; what runs containers, where it is not said. */
  readonly trustFor?: (service: string) => string;
}

/** A role a service, with what the adapters of its ports declare, on what the ports file names. */
export class TaskRoles extends Construct {
  /** By service. */
  readonly roles: ReadonlyMap<string, IamRole>;

  constructor(scope: AwsStack, id: string, { ports, keyArn, data, trustFor }: Parts) {
    super(scope, id);
    const { names, demand } = scope.site;
    const byPort = statementsByPort(scope, { ports, keyArn, data });
    this.roles = new Map(
      demand.services.map(({ service }) => {
        const role = new IamRole(this, service, {
          name: taskRoleName(names, service),
          description: `What ${service} may do`,
          assumeRolePolicy: trustFor?.(service) ?? trust('ecs-tasks.amazonaws.com', scope.account),
        });
        new IamRolePolicy(this, `${service}-rights`, {
          name: 'adapters',
          role: role.id,
          policy: policy(
            together([
              ...SERVICE_PORTS[service]!.flatMap((port) => byPort[port]),
              ...(INFERENCE_SERVICES.includes(service) ? inferenceStatements(scope, ports, keyArn) : []),
            ]),
          ),
        });
        return [service, role];
      }),
    );
  }
}

function statementsByPort(
  { account, partition, site: { region } }: AwsStack,
  { ports, keyArn, data }: Parts,
): Readonly<Record<CloudPort, readonly Statement[]>> {
  const place = { partition, account, keyArn };
  const of = (grants: Parameters<typeof statementsFor>[0], section: object) =>
    statementsFor(grants, { prefix: '', region, ...section }, place);
  return {
    eventStream:
      data.eventStream instanceof KafkaEventStream
        ? of(kafkaEventStreamPermissions, { ...ports.eventStream, cluster: data.eventStream.cluster, streams: STREAMS })
        : of(kinesisEventStreamPermissions, ports.eventStream),
    objectStore: of(s3ObjectStorePermissions, ports.objectStore),
    secretStore: of(secretsManagerSecretStorePermissions, ports.secretStore),
    deviceGateway: of(iotCoreDeviceGatewayPermissions, ports.deviceGateway),
    deviceRegistry: of(iotCoreDeviceRegistryPermissions, ports.deviceRegistry),
    notifiers: ports.notifiers.flatMap((section) => of(snsNotifierPermissions, section)),
    // By user and password, with no right at AWS.
    database: [],
  };
}

/** None where the services run models themselves. */
function inferenceStatements(
  { account, partition, site: { region } }: AwsStack,
  { modelInference }: AwsPorts,
  keyArn: string,
): readonly Statement[] {
  if (modelInference === undefined) return [];
  const place = { partition, account, keyArn };
  return statementsFor(sagemakerModelInferencePermissions, { region, ...modelInference }, place);
}

/** Statements that allow the same on several things are one: a policy of a role has a limit of 10,240 characters. */
function together(statements: readonly Statement[]): readonly Statement[] {
  const byActions = new Map<string, Omit<Statement, 'Resource'> & { Resource: readonly string[] }>();
  for (const statement of statements) {
    const key = JSON.stringify(statement.Action);
    const resources = listOf(statement.Resource);
    const known = byActions.get(key);
    if (known) known.Resource = [...new Set([...known.Resource, ...resources])];
    else byActions.set(key, { ...statement, Resource: [...resources] });
  }
  return [...byActions.values()];
}

function listOf(resource: Statement['Resource']): readonly string[] {
  return typeof resource === 'string' ? [resource] : (resource ?? []);
}
