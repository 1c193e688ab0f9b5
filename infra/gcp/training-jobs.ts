import { Construct } from 'constructs';
import { ProjectIamCustomRole } from '@cdktf/provider-google/lib/project-iam-custom-role/index.js';
import { ServiceAccount } from '@cdktf/provider-google/lib/service-account/index.js';
import { StorageBucketIamMember } from '@cdktf/provider-google/lib/storage-bucket-iam-member/index.js';
import type { DataStack } from './data-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import { TRAINING_PREFIX } from './gcs-object-store.ts';
import { serviceAccountId } from './service-account-id.ts';

const MACHINE_TYPE = 'n1-standard-4';
const DAY_S = 86_400;

/**
 * Who training jobs of Vertex AI are, and who may start them: a job is machines of Google's that are there for it alone, and are paid for as long. It
 * reads and writes its own part of the site's objects.
 */
export class TrainingJobs extends Construct {
  /** As `gcloud ai custom-jobs create --config` reads it, but for the image, which is the job's own. */
  readonly job: object;
  /** Of whoever starts jobs: nobody has it before somebody is given it. */
  readonly submitter: ProjectIamCustomRole;

  constructor(scope: GcpStack, id: string, { objectStore }: DataStack) {
    super(scope, id);
    const { names } = scope.site;
    const account = new ServiceAccount(this, 'account', {
      accountId: serviceAccountId(names, 'training'),
      displayName: `${names.base}: training`,
      description: 'Training jobs: read and write their own part of the objects',
    });
    const role = (part: string, description: string, permissions: string[]) =>
      new ProjectIamCustomRole(this, part, {
        roleId: names.underscored(part, 64),
        title: names.of(part, 100),
        ...{ description, permissions, stage: 'GA' },
      });
    const objects = role('training-objects', 'What training jobs do among the site’s objects', [
      ...['storage.objects.create', 'storage.objects.get', 'storage.objects.list'],
    ]);
    const { name: bucket } = objectStore.bucket;
    new StorageBucketIamMember(this, 'objects', {
      ...{ bucket, role: objects.name, member: account.member },
      condition: {
        title: 'training',
        description: `Objects whose names begin with ${TRAINING_PREFIX}, and lists of those alone`,
        expression: [
          `resource.name.startsWith("projects/_/buckets/${bucket}/objects/${TRAINING_PREFIX}")`,
          `api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("${TRAINING_PREFIX}")`,
        ].join(' || '),
      },
    });
    this.submitter = role('submit-training', 'Starts training jobs, and looks after them', [
      ...['create', 'get', 'list', 'cancel'].map((verb) => `aiplatform.customJobs.${verb}`),
    ]);
    this.job = {
      workerPoolSpecs: [{ machineSpec: { machineType: MACHINE_TYPE }, replicaCount: 1 }],
      // One that hangs is not paid for longer.
      scheduling: { timeout: `${DAY_S}s` },
      serviceAccount: account.email,
      baseOutputDirectory: { outputUriPrefix: `gs://${bucket}/${TRAINING_PREFIX}` },
    };
  }
}
