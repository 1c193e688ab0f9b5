import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PeerProcess } from '../../test/peers/peer-process.ts';
import { PROVIDER } from './terraform.ts';

const ATTACH = /TF_REATTACH_PROVIDERS='([^']+)'/;

/**
 * The provider that a stack was initialised with, as one process for all that Terraform is asked, by the way that its developers attach to it; it ends
 * with `server`. Terraform by itself starts it anew at each command, at some of them several times, and each time it makes its schema again.
 *
 * @returns what Terraform's environment has to have to find it.
 */
export async function startProvider(
  initialised: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly found: Readonly<Record<string, string>>; readonly server: PeerProcess }> {
  const server = await PeerProcess.start({
    name: 'the provider of AWS',
    command: [executableIn(join(initialised, '.terraform/providers', PROVIDER)), '-debug'],
    env,
    isReady: (printed) => Promise.resolve(ATTACH.test(printed)),
  });
  return { found: { TF_REATTACH_PROVIDERS: ATTACH.exec(server.printed)![1]! }, server };
}

/** By machine: linux_amd64/terraform-provider-aws_v5.100.0_x5 and the like. */
function executableIn(folder: string): string {
  const [machine = ''] = readdirSync(folder);
  const executable = readdirSync(join(folder, machine)).find((file) => file.startsWith('terraform-provider-'));
  if (executable === undefined) throw new Error(`${join(folder, machine)} has no provider`);
  return join(folder, machine, executable);
}
