import { describe, expect, it } from '@jest/globals';
import type { Grant } from '../../adapters/permissions.ts';
import { iotCoreDeviceGatewayPermissions } from '../../adapters/aws/iot-core-device-gateway/permissions.ts';
import { iotCoreDeviceRegistryPermissions } from '../../adapters/aws/iot-core-device-registry/permissions.ts';
import { kinesisEventStreamPermissions } from '../../adapters/aws/kinesis-event-stream/permissions.ts';
import { s3ObjectStorePermissions } from '../../adapters/aws/s3-object-store/permissions.ts';
import { secretsManagerSecretStorePermissions } from '../../adapters/aws/secrets-manager-secret-store/permissions.ts';
import { snsNotifierPermissions } from '../../adapters/aws/sns-notifier/permissions.ts';
import { SERVICE_PORTS, type CloudPort } from '../service-ports.ts';
import { changed, shipped, statementsOf, synthesized } from '../testing/synthesized.ts';
import { statementsFor } from './grants.ts';

const inProd = synthesized(changed(shipped('akron.prod'), { accounts: { aws: '123456789012' } }));

const DECLARED: Readonly<Record<CloudPort, readonly Grant[]>> = {
  eventStream: kinesisEventStreamPermissions,
  objectStore: s3ObjectStorePermissions,
  secretStore: secretsManagerSecretStorePermissions,
  deviceGateway: iotCoreDeviceGatewayPermissions,
  deviceRegistry: iotCoreDeviceRegistryPermissions,
  notifiers: snsNotifierPermissions,
  database: [],
};

/** What is asked of nothing in particular: the service authorization reference names no resource for it. */
const OF_NO_RESOURCE = new Set([
  'ecr:GetAuthorizationToken',
  ...['ecs:RegisterTaskDefinition', 'ecs:DescribeTaskDefinition', 'iot:ListThings', 'iot:ListThingPrincipals'],
  ...iotCoreDeviceRegistryPermissions.filter(({ on }) => on === '*').flatMap(({ actions }) => actions),
]);

describe('what a service may do', () => {
  it.each(Object.entries(SERVICE_PORTS))(
    '%s: what the adapters of its ports declare, and nothing else',
    (service, ports) => {
      const expected = ports.flatMap((port) =>
        DECLARED[port].filter(({ isForVerification }) => !isForVerification).flatMap(({ actions }) => actions),
      );
      const actions = statementsOf(inProd.one('aws_iam_role_policy', `task-roles/${service}-rights`)['policy']);
      expect(new Set(actions.flatMap(({ Action }) => Action))).toEqual(new Set(expected));
    },
  );

  it('is on the streams, tables and buckets of the site by name', () => {
    const statements = statementsOf(
      inProd.one('aws_iam_role_policy', 'task-roles/timeseries-service-rights')['policy'],
    );
    const put = statements.find(({ Action }) => Action.includes('kinesis:PutRecords'))!;
    expect(new Set(put.Resource)).toEqual(
      new Set(
        ['metrics', 'raw-waveform', 'features', 'windows', 'inference-results', 'alarms'].map(
          (name) =>
            `arn:\${data.aws_partition.partition.partition}:kinesis:us-east-2:123456789012:stream/tribo-akron-prod-${name}`,
        ),
      ),
    );
  });
});

describe('roles', () => {
  const rights = inProd.found('aws_iam_role_policy');

  it.each(rights)('$path: no action is a pattern', ({ is }) => {
    const actions = statementsOf(is['policy']).flatMap(({ Action }) => Action);
    expect(actions.filter((action) => action.includes('*'))).toEqual([]);
  });

  it.each(rights)('$path: everything is of something, where the service knows of what', ({ is }) => {
    const onAll = statementsOf(is['policy']).filter(({ Resource }) => Resource.includes('*'));
    const actions = onAll.flatMap(({ Action }) => Action);
    expect(actions.filter((action) => !OF_NO_RESOURCE.has(action))).toEqual([]);
  });

  it.each(rights)(
    '$path: what is asked of nothing in particular is allowed on all, as on one thing it would not be',
    ({ is }) => {
      const onSome = statementsOf(is['policy']).filter(({ Resource }) => !Resource.includes('*'));
      const actions = onSome.flatMap(({ Action }) => Action);
      expect(actions.filter((action) => OF_NO_RESOURCE.has(action))).toEqual([]);
    },
  );

  it.each(rights)('$path: is within what IAM takes as the policy of a role', ({ is }) => {
    // References become shorter than they are written here.
    const resolved = (is['policy'] as string).replace(/\$\{[^}]*\}/g, 'x'.repeat(40));
    expect(resolved.length).toBeLessThan(10_240);
  });

  it('are taken by services of AWS for this account alone, but for backups and functions, which have no such condition', () => {
    const open = inProd
      .found('aws_iam_role')
      .filter(({ is }) => statementsOf(is['assume_role_policy']).some(({ Condition }) => Condition === undefined));
    expect(open.map(({ path }) => path)).toEqual(['data/backups/role', 'platform/functions/role']);
  });
});

describe('what is made of what an adapter declares', () => {
  const place = { partition: 'aws', account: '123456789012', keyArn: 'arn:aws:kms:eu-west-1:123456789012:key/k' };
  const grants: readonly Grant[] = [
    { actions: ['kinesis:PutRecords'], on: 'arn:aws:kinesis:<region>:*:stream/<streams>' },
    { actions: ['kms:Decrypt'], on: 'their key', note: 'where they have one' },
    { actions: ['ses:SendEmail'], on: 'arn:aws:ses:<region>:*:configuration-set/<configurationSet>' },
    { actions: ['kinesis:DescribeStreamSummary'], on: '*', isForVerification: true },
    { actions: ['s3:GetObject'], on: 'arn:aws:s3:::<bucket>/<prefix>*' },
  ];

  it('names each value of a setting, and leaves out what has no setting and what only tribo verify needs', () => {
    const settings = { region: 'eu-west-1', streams: { metrics: 'a', alarms: 'b' }, bucket: 'c', prefix: '' };
    expect(statementsFor(grants, settings, place)).toEqual([
      {
        Effect: 'Allow',
        Action: ['kinesis:PutRecords'],
        Resource: [
          'arn:aws:kinesis:eu-west-1:123456789012:stream/a',
          'arn:aws:kinesis:eu-west-1:123456789012:stream/b',
        ],
      },
      { Effect: 'Allow', Action: ['kms:Decrypt'], Resource: [place.keyArn] },
      { Effect: 'Allow', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::c/*'] },
    ]);
  });
});
