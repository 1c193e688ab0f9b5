import { TerraformResource, type IAspect } from 'cdktf';
import type { IConstruct } from 'constructs';
import type { Environment } from '../../core/decision/environment.ts';
import { mandatoryTags } from './tags.ts';

/** What Google Cloud takes as the value of a label. */
const MAX_VALUE_LENGTH = 63;

type Labels = Readonly<Record<string, string>>;

/** The mandatory tags as Google Cloud takes them: keys and values in lower case, of letters, digits, `_` and `-`. */
export function mandatoryLabels(environment: Environment): Labels {
  const entries = Object.entries(mandatoryTags(environment)).map(([key, value]) => [labelKey(key), labelValue(value)]);
  return Object.fromEntries(entries) as Labels;
}

/** `CostCenter`: `cost_center`. */
function labelKey(tag: string): string {
  return tag.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

/** `it@gent.example`: `it_at_gent_example`. Several tenants are `shared` where their names do not fit. */
function labelValue(value: string): string {
  const label = value
    .toLowerCase()
    .replaceAll('@', '_at_')
    .replace(/[^a-z0-9_-]/g, '_');
  if (label.length <= MAX_VALUE_LENGTH) return label;
  return value.includes(' ') ? 'shared' : label.slice(0, MAX_VALUE_LENGTH);
}

/** Puts the mandatory labels on each resource that takes labels, beside those of its own: in the JSON, where policies see them. */
export class MandatoryLabels implements IAspect {
  readonly #labels: Labels;

  constructor(environment: Environment) {
    this.#labels = mandatoryLabels(environment);
  }

  visit(node: IConstruct): void {
    if (!TerraformResource.isTerraformResource(node)) return;
    // Where there are both, `labels` are settings, such as whom a channel tells, and Google refuses any that it does not know.
    if (has(node, 'userLabels')) node.userLabels = { ...node.userLabelsInput, ...this.#labels };
    else if (has(node, 'labels')) node.labels = { ...node.labelsInput, ...this.#labels };
  }
}

/** A resource whose attribute of that name is a map of labels. */
type Labelled<Key extends 'labels' | 'userLabels'> = IConstruct &
  Record<Key, Labels> &
  Readonly<Partial<Record<`${Key}Input`, Labels>>>;

function has<Key extends 'labels' | 'userLabels'>(node: IConstruct, key: Key): node is Labelled<Key> {
  return `${key}Input` in node;
}
