import { Aspects, LocalBackend, S3Backend, TerraformStack } from 'cdktf';
import type { Construct } from 'constructs';
import { DataAwsCallerIdentity } from '@cdktf/provider-aws/lib/data-aws-caller-identity/index.js';
import { DataAwsPartition } from '@cdktf/provider-aws/lib/data-aws-partition/index.js';
import { AwsProvider } from '@cdktf/provider-aws/lib/provider/index.js';
import { MandatoryTags } from '../aspects/tags.ts';
import type { Site } from '../site.ts';
import { stateFile } from '../state-file.ts';

/** Ephemeral values and write-only attributes, by which no password is in the state. */
const TERRAFORM = '>= 1.11.0';

/** One of the stacks of a site at AWS: in one region and account, with its state apart from the others'. */
export class AwsStack extends TerraformStack {
  readonly site: Site;
  readonly account: string;
  readonly partition: string;
  /** Where the environment names one, nothing is ever made in the account that somebody happens to be signed in to. */
  readonly ownAccount: { readonly allowedAccountIds?: string[] };

  constructor(scope: Construct, id: 'foundation' | 'data' | 'platform' | 'services' | 'pipeline', site: Site) {
    super(scope, id);
    this.site = site;
    const own = site.environment.accounts?.aws;
    this.ownAccount = own === undefined ? {} : { allowedAccountIds: [own] };
    new AwsProvider(this, 'aws', {
      region: site.region,
      ...this.ownAccount,
    });
    this.account = own ?? new DataAwsCallerIdentity(this, 'account').accountId;
    this.partition = new DataAwsPartition(this, 'partition').partition;
    this.addOverride('terraform.required_version', TERRAFORM);
    keepState(this, id, site);
    Aspects.of(this).add(new MandatoryTags(site.environment));
  }

  /** `arn:aws:kinesis:us-east-2:123456789012:` and the resource. */
  arn(service: string, resource: string, region = this.site.region): string {
    return `arn:${this.partition}:${service}:${region}:${this.account}:${resource}`;
  }
}

/** In a bucket locked by an object beside the state. */
function keepState(stack: AwsStack, id: string, { environment, region }: Site): void {
  const { bucket, key, localPath } = stateFile('aws', environment, id);
  if (bucket === undefined) {
    new LocalBackend(stack, { path: localPath });
    return;
  }
  new S3Backend(stack, { bucket, key, region, encrypt: true });
  stack.addOverride('terraform.backend.s3.use_lockfile', true);
}
