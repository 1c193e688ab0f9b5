import type { Cloud } from '../core/decision/cloud.ts';
import type { Environment } from '../core/decision/environment.ts';

/** Where the state of a stack is. */
export interface StateFile {
  /** The bucket, or what a cloud has in place of it, that `TRIBO_STATE_BUCKET` names; undefined where the state is in a file of this machine. */
  readonly bucket: string | undefined;
  /** `akron.dev/aws/data.tfstate`, in the bucket. */
  readonly key: string;
  /** From the folder of a stack that is synthesized. */
  readonly localPath: string;
}

/**
 * One file a stack, in the bucket that `TRIBO_STATE_BUCKET` names; without it in `infra/state/` beside what is synthesized, which is for trying
 * out alone: a team needs the bucket.
 */
export function stateFile(cloud: Cloud, { site, stage }: Environment, stack: string): StateFile {
  const named = process.env['TRIBO_STATE_BUCKET'];
  return {
    bucket: named === '' ? undefined : named,
    key: `${site}.${stage}/${cloud}/${stack}.tfstate`,
    localPath: `../../../../../state/${site}.${stage}/${cloud}/${stack}.tfstate`,
  };
}
