import { TerraformDataSource, type TerraformElement } from 'cdktf';

/** Findings of checkov that are no fault of a resource, each with why, as an auditor would have to be told: `{ CKV_AWS_18: 'It is ...' }`. */
export type Exceptions = Readonly<Record<string, string>>;

/** Where the JSON of a resource has them: Terraform reads nothing of a comment. */
export const ACKNOWLEDGED = 'acknowledged';
const CHECK = /^CKV2?_[A-Z][A-Z0-9]*_\d+$/;

/**
 * Says why checkov is not to be followed at a resource or data source: next to the construct, and of this one alone. `npm run policy` fails on a
 * finding that is not acknowledged, and on an exception that nowhere applies. Called again it adds to what was said.
 * @throws Error where the check is not named as checkov names it, or without a reason.
 */
export function acknowledge<Element extends TerraformElement>(element: Element, exceptions: Exceptions): Element {
  const { path } = element.node;
  for (const [check, reason] of Object.entries(exceptions)) {
    if (!CHECK.test(check)) throw new Error(`${path}: ${check} is not the name of a check, such as CKV_AWS_18`);
    if (reason.trim() === '') throw new Error(`${path}: say why ${check} does not apply`);
    const comment = `//.${ACKNOWLEDGED}.${check}`;
    if (TerraformDataSource.isTerraformDataSource(element)) {
      // CDKTF writes the comment of a data source over what was added to it.
      const { cdktfStack, terraformResourceType, friendlyUniqueId } = element as TerraformDataSource;
      cdktfStack.addOverride(`data.${terraformResourceType}.${friendlyUniqueId}.${comment}`, reason);
    } else element.addOverride(comment, reason);
  }
  return element;
}
