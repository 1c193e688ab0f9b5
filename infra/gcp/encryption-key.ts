import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { DataGoogleBigqueryDefaultServiceAccount } from '@cdktf/provider-google/lib/data-google-bigquery-default-service-account/index.js';
import { DataGoogleLoggingProjectCmekSettings } from '@cdktf/provider-google/lib/data-google-logging-project-cmek-settings/index.js';
import { DataGoogleStorageProjectServiceAccount } from '@cdktf/provider-google/lib/data-google-storage-project-service-account/index.js';
import { KmsCryptoKeyIamBinding } from '@cdktf/provider-google/lib/kms-crypto-key-iam-binding/index.js';
import { KmsCryptoKey } from '@cdktf/provider-google/lib/kms-crypto-key/index.js';
import { KmsKeyRing } from '@cdktf/provider-google/lib/kms-key-ring/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import { hasKafka, hasModelEndpoint, hasWarehouse, isKubernetes } from '../site.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { ProjectServices } from './project-services.ts';

const DAY_S = 86_400;
/** So long a destroyed version of the key can be had back: without it all that the site holds is lost. */
const DESTROY_AFTER_S = 30 * DAY_S;
const ROTATION_S = 90 * DAY_S;

/** Whose services encrypt with the key; their accounts are made once a project (infra/README.md). */
const AGENTS = ['artifactregistry', 'cloud-sql', 'pubsub', 'secretmanager'] as const;

/** Where a key is, and who may encrypt and decrypt with it. */
interface KeyOptions {
  /** A region, or a location of several: `europe`. */
  readonly location: string;
  readonly dependsOn: ITerraformDependable[];
  /** What has to be looked up for them is put beside the key. */
  readonly membersOf: (key: Construct) => readonly string[];
}

/** A key of the site, in a ring of its location. */
export class DataKey extends Construct {
  /** `projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/data`. */
  readonly keyName: string;
  /** What has to be there before a service is given the key. */
  readonly access: KmsCryptoKeyIamBinding;

  constructor(scope: Construct, id: string, stack: GcpStack, { location, dependsOn, membersOf }: KeyOptions) {
    super(scope, id);
    const { names, isProtected } = stack.site;
    const ring = new KmsKeyRing(this, 'ring', { name: names.base, location, dependsOn });
    const key = new KmsCryptoKey(this, 'key', {
      name: 'data',
      keyRing: ring.id,
      purpose: 'ENCRYPT_DECRYPT',
      rotationPeriod: `${ROTATION_S}s`,
      destroyScheduledDuration: `${DESTROY_AFTER_S}s`,
      lifecycle: { preventDestroy: isProtected },
    });
    if (!isProtected) acknowledge(key, { CKV_GCP_82: 'It is, but in dev, which is destroyed and made again' });
    this.keyName = key.id;
    this.access = new KmsCryptoKeyIamBinding(this, 'users', {
      cryptoKeyId: key.id,
      role: 'roles/cloudkms.cryptoKeyEncrypterDecrypter',
      members: [...membersOf(this)],
    });
  }
}

/** The site's own key, with which all that holds data is encrypted, in its region. */
export class EncryptionKey extends DataKey {
  constructor(scope: GcpStack, id: string, { services }: { readonly services: ProjectServices }) {
    const dependsOn = [...services.all];
    super(scope, id, scope, {
      location: scope.site.region,
      dependsOn,
      membersOf: (key) => usersOf(scope, key, dependsOn),
    });
  }
}

function usersOf(stack: GcpStack, key: Construct, dependsOn: ITerraformDependable[]): readonly string[] {
  const { project, projectNumber, site } = stack;
  const logging = new DataGoogleLoggingProjectCmekSettings(key, 'logging', { project, dependsOn });
  const storage = new DataGoogleStorageProjectServiceAccount(key, 'storage', { dependsOn });
  const bigquery = hasWarehouse(site)
    ? [new DataGoogleBigqueryDefaultServiceAccount(key, 'bigquery', { dependsOn }).member]
    : [];
  return [
    ...[...AGENTS, ...(hasModelEndpoint(site) ? ['aiplatform'] : []), ...(hasKafka(site) ? ['managedkafka'] : [])].map(
      (agent) => stack.serviceAgent(agent),
    ),
    ...[...['compute-system', 'serverless-robot-prod'], ...(isKubernetes(site) ? ['container-engine-robot'] : [])].map(
      (agent) => `serviceAccount:service-${projectNumber}@${agent}.iam.gserviceaccount.com`,
    ),
    storage.member,
    `serviceAccount:${logging.serviceAccountId}`,
    ...bigquery,
  ];
}
