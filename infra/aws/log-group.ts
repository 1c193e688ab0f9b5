import type { Construct } from 'constructs';
import { CloudwatchLogGroup } from '@cdktf/provider-aws/lib/cloudwatch-log-group/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { Site } from '../site.ts';

interface LogGroupSettings {
  readonly name: string;
  readonly keyArn: string;
}

/** Logs of the site: encrypted with its key, and kept as long as the environment says. */
export function logGroup(
  scope: Construct,
  id: string,
  { environment }: Site,
  { name, keyArn }: LogGroupSettings,
): CloudwatchLogGroup {
  const group = new CloudwatchLogGroup(scope, id, {
    name,
    retentionInDays: environment.retention.logDays,
    kmsKeyId: keyArn,
  });
  return acknowledge(group, {
    CKV_AWS_338:
      'Logs are for operation, for as long as the environment pays; who did what is kept for ever in the bucket of the audit trail',
  });
}
