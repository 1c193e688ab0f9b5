import { TerraformResource, type IAspect } from 'cdktf';
import type { IConstruct } from 'constructs';
import type { Environment } from '../../core/decision/environment.ts';
import { Names } from '../names.ts';

/** What AWS and Google Cloud take as the value of a tag or label; Azure takes as many. */
const MAX_VALUE_LENGTH = 256;

type Tags = Readonly<Record<string, string>>;

/** Those that every resource carries, if it can carry any. */
export function mandatoryTags({ site, stage, tenants, tags }: Environment): Tags {
  const all = tenants.join(' ');
  const { base } = new Names({ site, stage });
  return {
    Project: tags.project,
    Environment: stage,
    Site: site,
    // The two together: what a budget can count by.
    Deployment: base,
    CostCenter: tags.costCenter,
    Owner: tags.owner,
    // What several tenants share is told by their names, as far as a value takes them.
    Tenant: all.length <= MAX_VALUE_LENGTH ? all : 'shared',
  };
}

/** Puts the mandatory tags on each resource that takes tags, beside those of its own: in the JSON, where policies see them. */
export class MandatoryTags implements IAspect {
  readonly #tags: Tags;

  constructor(environment: Environment) {
    this.#tags = mandatoryTags(environment);
  }

  visit(node: IConstruct): void {
    if (isTaggable(node)) node.tags = { ...node.tagsInput, ...this.#tags };
  }
}

interface Taggable {
  tags: Tags;
  readonly tagsInput?: Tags;
}

/** Data sources have tags too, and only look them up. */
function isTaggable(node: IConstruct): node is IConstruct & Taggable {
  return TerraformResource.isTerraformResource(node) && 'tagsInput' in node;
}
