import type { Steps } from './steps.ts';
import type { Terraform } from './terraform.ts';

/** A stack that was applied. */
interface Applied {
  readonly name: string;
  readonly terraform: Pick<Terraform, 'destroy' | 'held'>;
}

/**
 * Destroys each in turn, a step each: what stands on another comes before it. Where one fails, the others are tried all the same; those that fail then are
 * told with it, as what it left mostly is why.
 */
export async function destroyAll(steps: Steps, stacks: readonly Applied[]): Promise<void> {
  const failed: string[] = [];
  for (const { name, terraform } of stacks) {
    const step = `${name} is destroyed`;
    const passed = await steps.run(
      step,
      async () => {
        await terraform.destroy();
        const left = await terraform.held();
        if (left.length > 0) throw new Error(`these are left: ${left.join(', ')}`);
        return undefined;
      },
      failed.length === 0 ? step : `${step}, after the failure of ${failed.join(', ')}`,
    );
    if (!passed) failed.push(name);
  }
}
