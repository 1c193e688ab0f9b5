import type { Construct } from 'constructs';
import { Manifest } from '@cdktf/provider-kubernetes/lib/manifest/index.js';
import type { NamespaceV1 } from '@cdktf/provider-kubernetes/lib/namespace-v1/index.js';
import type { Cluster } from './cluster.ts';

/** Where a pod finds what its service starts with, and what is there at every cloud. */
export const SECRETS_FOLDER = '/etc/tribo/secrets';
export const PASSWORD_FILE = 'database-password';
export const LINK_KEY_FILE = 'link-key';

/**
 * Tells the driver what of the cloud's secrets each service finds as it starts: as its own identity, which may read no other.
 * @param stack the place of what is made: under another address Terraform would take it away and make it again
 */
export function secretsOf(stack: Construct, inside: NamespaceV1, cluster: Cluster): readonly Manifest[] {
  const { site, namespace, secrets } = cluster;
  return site.demand.services.map(
    ({ service }) =>
      new Manifest(stack, `${service}-secrets`, {
        manifest: {
          apiVersion: 'secrets-store.csi.x-k8s.io/v1',
          kind: 'SecretProviderClass',
          metadata: { name: service, namespace },
          spec: { provider: secrets.provider, parameters: secrets.parameters(service) },
        },
        dependsOn: [inside],
      }),
  );
}

/** The folder, as a volume of the pod. */
export function secretsVolume({ secrets }: Cluster, service: string) {
  return { driver: secrets.driver, readOnly: true, volumeAttributes: { secretProviderClass: service } };
}

/** A command of a shell, with the password of the database, which its client takes from a variable alone. */
export function withPassword([shell = '', flag = '', script = '']: readonly string[]): readonly string[] {
  return [shell, flag, `export PGPASSWORD="$(cat ${SECRETS_FOLDER}/${PASSWORD_FILE})" && ${script}`];
}
