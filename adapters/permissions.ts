/**
 * What whoever runs the services must be allowed to do for an adapter, and nothing beside it: what a stack grants. Each adapter of a cloud has
 * a list of these, `permissions.ts` in its folder, which a check compares with the calls that the adapter makes, and a test with its page.
 */
export interface Grant {
  /** In the provider's words: actions of IAM policies, permissions of Google Cloud, actions of Azure's roles. */
  readonly actions: readonly string[];
  /**
   * On what: an ARN, or the kind of thing and its name. In angle brackets are the adapter's settings; of one that is a list or a record each
   * value. An ARN leaves the account open, and is of the partition `aws`.
   */
  readonly on: string;
  /** The smallest role of the provider's own that has them; absent where there is none, or where actions are granted themselves. */
  readonly role?: string;
  /** When, or for what, beside the adapter's own calls: `where the streams have a key of their own`. */
  readonly note?: string;
  /** Not of the services: who runs `tribo verify` needs it too. */
  readonly isForVerification?: true;
}
