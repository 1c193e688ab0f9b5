/** One thing that `tribo doctor` looked at. */
export interface Check {
  readonly name: string;
  /** False where something is wrong, or soon will be. */
  readonly ok: boolean;
  readonly detail: string;
  /** What to do where it is not ok. */
  readonly remedy?: string;
}
