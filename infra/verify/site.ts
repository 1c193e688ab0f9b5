import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../../core/decision/environment.ts';
import { loadPrices } from '../../services/shared/environments/environment-files.ts';
import { awsStacks } from '../aws/aws-stacks.ts';
import { siteApp } from '../site-app.ts';
import { siteAt } from '../site.ts';

const PRICES = loadPrices(join(import.meta.dirname, '../../environments/prices'));

/** Beside the folder that stacks are written to (infra/state-file.ts). */
const STATES = '../state';

/** What of a stack's JSON something is left out of. */
interface StackJson {
  readonly resource: Readonly<Record<string, unknown>>;
}

/** What the provider is told of the peer, beside the stack and not in it: an override is Terraform's own way. */
const OVERRIDE = {
  provider: {
    aws: [
      {
        access_key: 'test',
        secret_key: 'test',
        skip_credentials_validation: true,
        skip_metadata_api_check: 'true',
        // A bucket's own host has no address here.
        s3_use_path_style: true,
        max_retries: 2,
      },
    ],
  },
};

/** The folder of a stack of an environment at AWS, within that of all. */
export function stackFolder(out: string, { site, stage }: Environment, stack: string): string {
  return join(out, `${site}.${stage}`, 'aws/stacks', stack);
}

/** Writes the stacks of an environment at AWS as `npm run synth` does, with the override beside each. */
export function writeStacks(out: string, environment: Environment, stacks: readonly string[]): void {
  const { site, stage } = environment;
  const outdir = join(out, `${site}.${stage}`, 'aws');
  mkdirSync(outdir, { recursive: true });
  const app = siteApp(outdir);
  awsStacks.build(app, siteAt('aws', environment, PRICES)!);
  app.synth();
  for (const stack of stacks)
    writeFileSync(join(stackFolder(out, environment, stack), 'verify_override.tf.json'), JSON.stringify(OVERRIDE));
}

/** Takes resources of these types out of a stack that is written. @throws Error where one has none of a type. */
export function leaveOut(folder: string, types: readonly string[]): void {
  const file = join(folder, 'cdk.tf.json');
  const json = JSON.parse(readFileSync(file, 'utf8')) as StackJson;
  const missing = types.filter((type) => !(type in json.resource));
  if (missing.length > 0)
    throw new Error(`${file}: nothing is of type ${missing.join(', ')}: take it out of what moto cannot do`);
  const resource = Object.fromEntries(Object.entries(json.resource).filter(([type]) => !types.includes(type)));
  writeFileSync(file, JSON.stringify({ ...json, resource }, undefined, 2));
}

/** What is written of a stack. */
export function stackText(folder: string): string {
  return readFileSync(join(folder, 'cdk.tf.json'), 'utf8');
}

/** Copies what Terraform keeps of the stacks in one folder to where those in another look for it. Others may be reading it: their locks are not copied. */
export function copyStates(out: string, to: string): void {
  const filter = (source: string): boolean => !source.endsWith('.lock.info');
  cpSync(join(out, STATES), join(to, STATES), { recursive: true, filter });
}
