import { Aspects, GcsBackend, LocalBackend, TerraformStack } from 'cdktf';
import type { Construct } from 'constructs';
import { DataGoogleProject } from '@cdktf/provider-google/lib/data-google-project/index.js';
import { GoogleProvider } from '@cdktf/provider-google/lib/provider/index.js';
import { MandatoryLabels } from '../aspects/labels.ts';
import type { Site } from '../site.ts';
import { stateFile } from '../state-file.ts';

/** Ephemeral values and write-only attributes, by which no password is in the state. */
const TERRAFORM = '>= 1.11.0';

/** One of the stacks of a site at Google Cloud: in one region and project, with its state apart from the others'. */
export class GcpStack extends TerraformStack {
  readonly site: Site;
  /** The id of the project: `tribo-gent`. */
  readonly project: string;
  /** Its number, which Google's own accounts have in their names. */
  readonly projectNumber: string;
  /** Whom the project's costs are billed to. */
  readonly billingAccount: string;

  constructor(scope: Construct, id: 'foundation' | 'data' | 'platform' | 'services', site: Site) {
    super(scope, id);
    this.site = site;
    const own = site.environment.accounts?.gcp;
    new GoogleProvider(this, 'google', {
      region: site.region,
      // Nothing is ever made in the project that somebody happens to work in.
      ...(own !== undefined && { project: own, billingProject: own }),
      // Budgets and people are asked for on behalf of the project, not of Terraform's own.
      userProjectOverride: true,
    });
    const project = new DataGoogleProject(this, 'project', own === undefined ? {} : { projectId: own });
    this.project = own ?? project.projectId;
    this.projectNumber = project.number;
    this.billingAccount = project.billingAccount;
    this.addOverride('terraform.required_version', TERRAFORM);
    keepState(this, id, site);
    Aspects.of(this).add(new MandatoryLabels(site.environment));
  }

  /** Google's own account, which does a service's work in the project: `pubsub`. */
  serviceAgent(service: string): string {
    return `serviceAccount:service-${this.projectNumber}@gcp-sa-${service}.iam.gserviceaccount.com`;
  }
}

/** In a bucket of Cloud Storage, which locks by itself. */
function keepState(stack: GcpStack, id: string, { environment }: Site): void {
  const { bucket, key, localPath } = stateFile('gcp', environment, id);
  if (bucket === undefined) new LocalBackend(stack, { path: localPath });
  else new GcsBackend(stack, { bucket, prefix: key.replace(/\.tfstate$/, '') });
}
