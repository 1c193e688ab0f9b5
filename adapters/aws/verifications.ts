import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#core/clock.ts';
import { checkpointStoreContract } from '#core/contracts/checkpoint-store.contract.ts';
import {
  deployedChecks,
  deployedContract,
  VERIFICATION_MARK,
  wasLeft,
  type Verification,
  type VerificationTools,
} from '#core/contracts/verification.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import { bucketVerification } from '../bucket-verification.ts';
import { CHANGES_NAME, devicesVerification } from '../devices-verification.ts';
import { secretsVerification } from '../secrets-verification.ts';
import { awsCall } from './aws-errors.ts';
import type { DynamodbCheckpointStoreConfig } from './dynamodb-checkpoint-store/config.ts';
import {
  checkpointKey,
  DynamodbCheckpointStore,
  leaseKey,
} from './dynamodb-checkpoint-store/dynamodb-checkpoint-store.ts';
import { openDynamoTable, type DynamoTable } from './dynamo-table.ts';
import { inferenceVerification } from '../inference-verification.ts';
import type { IotCoreDeviceGatewayConfig } from './iot-core-device-gateway/config.ts';
import { iotCoreGatewayVerification } from './iot-core-gateway-verification.ts';
import type { KinesisEventStreamConfig } from './kinesis-event-stream/config.ts';
import { kinesisVerification } from './kinesis-verification.ts';
import type { SagemakerModelInferenceConfig } from './sagemaker-model-inference/config.ts';
import { SagemakerModelInference } from './sagemaker-model-inference/sagemaker-model-inference.ts';
import { openModelPackages } from './sagemaker-model-registry/client.ts';
import type { SagemakerModelRegistryConfig } from './sagemaker-model-registry/config.ts';
import { IOT_CODES } from './iot-codes.ts';
import { openIotRegistry } from './iot-core-device-registry/client.ts';
import type { IotCoreDeviceRegistryConfig } from './iot-core-device-registry/config.ts';
import { IotCoreDeviceRegistry } from './iot-core-device-registry/iot-core-device-registry.ts';
import type { S3ObjectStoreConfig } from './s3-object-store/config.ts';
import { S3ObjectStore } from './s3-object-store/s3-object-store.ts';
import type { SecretsManagerSecretStoreConfig } from './secrets-manager-secret-store/config.ts';
import { SecretsManagerSecretStore } from './secrets-manager-secret-store/secrets-manager-secret-store.ts';
import type { SsmSecretStoreConfig } from './ssm-secret-store/config.ts';
import { SsmSecretStore } from './ssm-secret-store/ssm-secret-store.ts';

/** How often changes are looked for, for a case that waits for one. */
const SOON_MS = 1_000;

export async function verifyS3ObjectStore(settings: S3ObjectStoreConfig, { run }: VerificationTools) {
  const { bucket, prefix } = settings;
  return bucketVerification(await S3ObjectStore.open(settings), {
    ...{ run, where: `bucket ${bucket}` },
    needs: `s3:ListBucket on ${bucket}; s3:PutObject, s3:GetObject, s3:DeleteObject and s3:AbortMultipartUpload on ${bucket}/${prefix}*`,
  });
}

export function verifySecretsManagerSecretStore(settings: SecretsManagerSecretStoreConfig, { run }: VerificationTools) {
  const { prefix } = settings;
  const actions = [
    'GetSecretValue',
    'PutSecretValue',
    'CreateSecret',
    'DeleteSecret',
    'RestoreSecret',
    'DescribeSecret',
  ];
  return secretsVerification(() => SecretsManagerSecretStore.open(settings), {
    ...{ run, where: `Secrets Manager below ${prefix}` },
    needs: `secretsmanager:${actions.join(', ')} on secret:${prefix}*`,
  });
}

export function verifySsmSecretStore(settings: SsmSecretStoreConfig, { run }: VerificationTools) {
  const { prefix } = settings;
  return secretsVerification(() => SsmSecretStore.open(settings), {
    ...{ run, where: `Parameter Store below ${prefix}` },
    needs: `ssm:GetParameter, PutParameter, DeleteParameter on parameter${prefix}*`,
  });
}

/** With a thing of its own that tells of changes: the site's services are not woken by devices that are none of theirs. */
export async function verifyIotCoreDeviceRegistry(settings: IotCoreDeviceRegistryConfig, { run }: VerificationTools) {
  const { region, policies, thingType, timeoutMs, changePollMs } = settings;
  const own = { ...settings, changesThing: CHANGES_NAME, changePollMs: Math.min(changePollMs, SOON_MS) };
  const iot = await openIotRegistry(settings);
  const actions = [
    ...['CreateThing', 'UpdateThing', 'DescribeThing', 'DeleteThing', 'ListThings', 'ListThingPrincipals'],
    ...['AttachThingPrincipal', 'DetachThingPrincipal', 'CreateKeysAndCertificate', 'DescribeCertificate'],
    ...['UpdateCertificate', 'DeleteCertificate', 'AttachPolicy', 'DetachPolicy', 'ListAttachedPolicies'],
  ];
  return devicesVerification({
    ...{ run, where: `IoT Core in ${region}` },
    needs: `iot:${actions.join(', ')}, with the thing type ${thingType} and the policies ${policies.join(', ')}`,
    open: () => IotCoreDeviceRegistry.open(own, systemClock),
    discardChanges: () =>
      awsCall({ what: `remove the thing ${CHANGES_NAME}`, timeoutMs, codes: IOT_CODES }, async (signal) => {
        if (await iot.getThing(CHANGES_NAME, signal)) await iot.deleteThing(CHANGES_NAME, signal);
      }),
    close: () => iot.close(),
  });
}

/** With the table of its groups. */
export function verifyKinesisEventStream(settings: KinesisEventStreamConfig, tools: VerificationTools) {
  return kinesisVerification(settings, tools, verifyDynamodbCheckpointStore);
}

/** With the table of its state. */
export function verifyIotCoreDeviceGateway(settings: IotCoreDeviceGatewayConfig, tools: VerificationTools) {
  return iotCoreGatewayVerification(settings, tools, verifyDynamodbCheckpointStore);
}

export function verifySagemakerModelInference(settings: SagemakerModelInferenceConfig) {
  const { endpointName, region } = settings;
  return inferenceVerification(() => SagemakerModelInference.open(settings), {
    where: `SageMaker endpoint ${endpointName}`,
    needs: `sagemaker:InvokeEndpoint on endpoint/${endpointName} in ${region}`,
  });
}

/** Reads the groups of the site's models and their packages: the services may not delete a package, which would stay. */
export async function verifySagemakerModelRegistry(settings: SagemakerModelRegistryConfig): Promise<Verification> {
  const { groupPrefix, timeoutMs } = settings;
  const packages = await openModelPackages(settings);
  const call = <Result>(what: string, work: (signal: AbortSignal) => Promise<Result>) =>
    awsCall({ what, timeoutMs }, work);
  const readAll = async () => {
    const groups = await call(`list groups ${groupPrefix}*`, (signal) => packages.groups(groupPrefix, signal));
    for (const { name } of groups.filter((each) => each.name.startsWith(`${groupPrefix}-`)))
      await call(`list packages of ${name}`, (signal) => packages.packages(name, signal));
  };
  return {
    makes: 'nothing',
    needs: `sagemaker:ListModelPackageGroups; sagemaker:ListModelPackages on model-package-group/${groupPrefix}-*`,
    contracts: [
      deployedChecks(
        'model-registry',
        [{ name: `the groups ${groupPrefix}-* and their versions are listed`, run: readAll }],
        [
          {
            name: 'the contract of model registries: versions are registered and promoted',
            why: 'a version stays, as the services may not delete one',
            byHand:
              '`tribo model register` for a tenant of its own; the site’s object store and checkpoints are verified by themselves',
          },
        ],
      ),
    ],
    sweep: async () => 0,
    close: async () => packages.close(),
  };
}

/** Each case has checkpoints and leases of its own names, which an item of the table notes before they are made. */
export async function verifyDynamodbCheckpointStore(
  settings: DynamodbCheckpointStoreConfig,
  { run }: VerificationTools,
): Promise<Verification> {
  const table = await openDynamoTable(settings);
  const call = <Result>(doing: string, work: (signal: AbortSignal) => Promise<Result>) => {
    const what = `${doing} of verifications in table ${settings.table}`;
    return awsCall(
      { what, timeoutMs: settings.timeoutMs, codes: { ResourceNotFoundException: 'failed_precondition' } },
      work,
    );
  };
  const noted = new Set<string>();
  const note = async (name: string) => {
    if (noted.has(name)) return;
    await call('note', (signal) => table.update({ pk: VERIFICATION_MARK, sk: name }, { set: { run } }, signal));
    noted.add(name);
  };
  let cases = 0;
  const makeHarness = async () => {
    const prefix = `${VERIFICATION_MARK}/${run}/${++cases}/`;
    const opened: DynamodbCheckpointStore[] = [];
    const reopen = async () => {
      const store = await DynamodbCheckpointStore.open(settings);
      opened.push(store);
      return namesBelow(prefix, store, note);
    };
    return {
      ...{ store: await reopen(), reopen },
      passTime: (ms: number) => sleep(ms),
      [Symbol.asyncDispose]: async () => opened.forEach((store) => store.close()),
    };
  };
  return {
    makes: `some ten checkpoints and leases below ${VERIFICATION_MARK}/${run}/ in table ${settings.table}, and an item for each that notes its name`,
    needs: `dynamodb:GetItem, UpdateItem, DeleteItem, Query on table/${settings.table}`,
    contracts: [deployedContract(checkpointStoreContract, makeHarness)],
    sweep: async (isOver) => {
      const notes = await call('list', (signal) => table.list(VERIFICATION_MARK, signal));
      const over = notes.map(({ sk }) => String(sk)).filter((name) => wasLeft(name, isOver));
      for (const name of over) await call('removal', (signal) => remove(table, name, signal));
      return over.length;
    },
    close: async () => table.close(),
  };
}

function namesBelow(prefix: string, store: CheckpointStore, note: (name: string) => Promise<void>): CheckpointStore {
  return {
    load: (name, options) => store.load(prefix + name, options),
    save: async (name, state, expectedVersion, options) => {
      await note(prefix + name);
      return store.save(prefix + name, state, expectedVersion, options);
    },
    acquireLease: async (name, holder, leaseMs, options) => {
      await note(prefix + name);
      return store.acquireLease(prefix + name, holder, leaseMs, options);
    },
    renewLease: (lease, leaseMs, options) => store.renewLease(lease, leaseMs, options),
    releaseLease: (lease, options) => store.releaseLease(lease, options),
  };
}

async function remove(table: DynamoTable, name: string, signal: AbortSignal): Promise<void> {
  for (const { pk } of [checkpointKey(name), leaseKey(name)])
    for (const { sk } of await table.list(pk, signal)) await table.delete({ pk, sk: String(sk) }, signal);
  await table.delete({ pk: VERIFICATION_MARK, sk: name }, signal);
}
