/**
 * Policy: checkov over the stacks of every environment at every cloud, and over one of each cloud that must not pass. It fails on a finding that is
 * not acknowledged at its construct, and on an exception that has become unnecessary.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { synthesizeAll } from '../synthesize.ts';
import { synthesizeVariations } from '../testing/variations.ts';
import { scan } from './checkov.ts';
import { judge, type ScannedStack, type StackBlocks } from './findings.ts';
import { PLANTED } from './planted.ts';

const folder = mkdtempSync(join(tmpdir(), 'tribo-policy-'));
try {
  const out = join(folder, 'out');
  const written = [...synthesizeAll(out).written, ...synthesizeVariations(out)];
  const stacks = written.flatMap(({ environment, cloud, folder: of, stacks: names }) =>
    names.map((stack): ScannedStack => {
      const text = readFileSync(join(of, 'stacks', stack, 'cdk.tf.json'), 'utf8');
      return { name: `${environment}/${cloud}/${stack}`, json: JSON.parse(text) as StackBlocks };
    }),
  );
  const scanned = join(folder, 'scanned');
  mkdirSync(scanned);
  const result = await scan([...stacks, ...PLANTED.map(({ stack }) => stack)], scanned);
  const planted = new Set(PLANTED.map(({ stack }) => stack.name));
  const missed = PLANTED.filter(
    ({ stack, check }) => !result.findings.some((found) => found.stack === stack.name && found.check === check),
  );
  const findings = result.findings.filter(({ stack }) => !planted.has(stack));
  const wrong = [
    ...(stacks.length === 0 ? ['no environment has stacks: nothing was checked'] : []),
    ...missed.map(({ stack, check }) => `${stack.name}: ${check} was not found, which is planted there`),
    ...judge(stacks, { ...result, findings }),
  ];
  for (const line of wrong) console.error(line);
  const asked = [...result.asked.values()].reduce((sum, count) => sum + count, 0);
  console.log(
    `policy: ${stacks.length} stacks, ${asked} checks, ${findings.length} findings; ${PLANTED.length - missed.length} of ${PLANTED.length} planted ones found; ${wrong.length} faults`,
  );
  if (wrong.length > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
