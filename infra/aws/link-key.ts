import type { Construct } from 'constructs';
import type { AwsStack } from './aws-stack.ts';
import { GeneratedSecret } from './generated-secret.ts';

/** Counted up to give the services a new key; they are to be started anew then. */
const KEY_VERSION = 1;

/** By which the services of the site know each other. */
export function linkKey(stack: AwsStack, scope: Construct, id: string, keyArn: string): GeneratedSecret {
  return new GeneratedSecret(stack, scope, id, {
    name: 'link-key',
    description: 'By which the services of the site know each other',
    keyArn,
    version: KEY_VERSION,
    // It can be made again at any time, under the same name.
    recoveryWindowInDays: 0,
  });
}
