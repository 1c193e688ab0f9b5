import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CLOUDS, type Cloud } from '../../core/decision/cloud.ts';

/** A program that a deployment runs. */
export interface Program {
  readonly name: string;
  readonly clouds: readonly Cloud[];
  /** Only where services run in a cluster. */
  readonly isForClusters?: true;
  readonly args: readonly string[];
  /** Where it says its version: major and minor. */
  readonly version: RegExp;
  /** Undefined: any. */
  readonly least?: string;
  /** What for, and why no older one. */
  readonly use: string;
  readonly from: string;
}

export const PROGRAMS: readonly Program[] = [
  {
    name: 'terraform',
    clouds: CLOUDS,
    args: ['version', '-json'],
    version: /"terraform_version":\s*"(\d+\.\d+)/,
    least: '1.11',
    use: 'applies the stacks, whose passwords older ones would keep in their state',
    from: 'https://developer.hashicorp.com/terraform/install',
  },
  {
    name: 'docker',
    clouds: CLOUDS,
    args: ['buildx', 'version'],
    version: /v?(\d+\.\d+)/,
    least: '0.12',
    use: 'builds images by buildx, with what is in them and who built them',
    from: 'https://docs.docker.com/engine/install',
  },
  {
    name: 'jq',
    clouds: CLOUDS,
    args: ['--version'],
    version: /jq-(\d+\.\d+)/,
    least: '1.6',
    use: 'reads what stacks and builds print',
    from: 'https://jqlang.org/download',
  },
  {
    name: 'python3',
    clouds: CLOUDS,
    args: ['--version'],
    version: /Python (\d+\.\d+)/,
    least: '3.10',
    use: 'runs checkov for npm run policy',
    from: 'https://www.python.org/downloads',
  },
  {
    name: 'curl',
    clouds: CLOUDS,
    args: ['--version'],
    version: /curl (\d+\.\d+)/,
    least: '7.76',
    use: 'asks the site whether it answers, and prints why where it refuses',
    from: 'https://curl.se/download.html',
  },
  {
    name: 'git',
    clouds: CLOUDS,
    args: ['--version'],
    version: /git version (\d+\.\d+)/,
    use: 'says of which commit the images are',
    from: 'https://git-scm.com/downloads',
  },
  {
    name: 'openssl',
    clouds: ['aws', 'gcp'],
    args: ['version'],
    version: /OpenSSL (\d+\.\d+)/,
    least: '1.1',
    use: 'makes certificates of brokers and devices, whose extensions older ones do not take',
    from: 'https://openssl-library.org/source',
  },
  {
    name: 'aws',
    clouds: ['aws'],
    args: ['--version'],
    version: /aws-cli\/(\d+\.\d+)/,
    least: '2.0',
    use: 'signs in, and does what Terraform does not',
    from: 'https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html',
  },
  {
    name: 'az',
    clouds: ['azure'],
    args: ['version'],
    version: /"azure-cli":\s*"(\d+\.\d+)/,
    use: 'signs in, and opens the vaults for whoever applies',
    from: 'https://learn.microsoft.com/cli/azure/install-azure-cli',
  },
  {
    name: 'gcloud',
    clouds: ['gcp'],
    args: ['version'],
    version: /Google Cloud SDK (\d+\.\d+)/,
    use: 'signs in, and does what Terraform does not',
    from: 'https://cloud.google.com/sdk/docs/install',
  },
  {
    name: 'skopeo',
    clouds: ['gcp'],
    args: ['--version'],
    version: /skopeo version (\d+\.\d+)/,
    use: "copies the broker's image into the registry",
    from: 'https://github.com/containers/skopeo/blob/main/install.md',
  },
  {
    name: 'kubectl',
    clouds: CLOUDS,
    isForClusters: true,
    args: ['version', '--client', '--output', 'json'],
    version: /"gitVersion":\s*"v(\d+\.\d+)/,
    use: 'looks into the cluster',
    from: 'https://kubernetes.io/docs/tasks/tools',
  },
  {
    name: 'kubelogin',
    clouds: ['azure'],
    isForClusters: true,
    args: ['--version'],
    version: /v(\d+\.\d+)/,
    use: 'lets kubectl and Terraform into the cluster',
    from: 'https://azure.github.io/kubelogin/install.html',
  },
  {
    name: 'gke-gcloud-auth-plugin',
    clouds: ['gcp'],
    isForClusters: true,
    args: ['--version'],
    version: /v(\d+\.\d+)/,
    use: 'lets kubectl and Terraform into the cluster',
    from: 'https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl',
  },
];

/** What was found of a program, in one line. */
export interface Found {
  readonly ok: boolean;
  readonly says: string;
}

const run = promisify(execFile);
const ANSWERS_WITHIN_MS = 20_000;

/** Asks the program on the PATH which it is. */
export async function look({ name, args, version, least, use, from }: Program): Promise<Found> {
  const remedy = `it ${use}; ${from}`;
  const asked = [name, ...args].join(' ');
  let said: string;
  try {
    const { stdout, stderr } = await run(name, args, { timeout: ANSWERS_WITHIN_MS });
    said = `${stdout}\n${stderr}`;
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code !== 'ENOENT';
    return { ok: false, says: `${name}: ${isThere ? `\`${asked}\` fails` : 'not found on the PATH'}: ${remedy}` };
  }
  const is = version.exec(said)?.[1];
  if (is === undefined) return { ok: false, says: `${name}: \`${asked}\` does not say which it is: ${remedy}` };
  if (least !== undefined && isOlder(is, least))
    return { ok: false, says: `${name}: ${is} is older than ${least}: ${remedy}` };
  return { ok: true, says: `${name}: ${is}` };
}

function isOlder(is: string, least: string): boolean {
  const [major = 0, minor = 0] = is.split('.').map(Number);
  const [leastMajor = 0, leastMinor = 0] = least.split('.').map(Number);
  return major === leastMajor ? minor < leastMinor : major < leastMajor;
}
