/**
 * `npm run models -- [--remove] <file>`: brings the model server behind the endpoint of a site at Google Cloud, or takes it away before the stack is
 * destroyed. The file is what `terraform output -json model_deployment` wrote; whoever does it is told by GOOGLE_OAUTH_ACCESS_TOKEN.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readModelDeployment } from './gcp/model-deployment.ts';
import { releaseModels, removeModels } from './gcp/model-release.ts';
import { VertexAiApi } from './gcp/vertex-ai-api.ts';

/** A token is good for an hour. */
const WITHIN_MS = 55 * 60_000;
const POLL_MS = 10_000;
const USAGE = 'npm run models -- [--remove] <what `terraform output -json model_deployment` wrote>';

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { remove: { type: 'boolean', default: false } },
  });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw new Error(`name one file: ${USAGE}`);
  const deployment = deploymentIn(file);
  const token = process.env['GOOGLE_OAUTH_ACCESS_TOKEN'];
  if (!token) throw new Error('set GOOGLE_OAUTH_ACCESS_TOKEN to what `gcloud auth print-access-token` says');
  const signal = AbortSignal.timeout(WITHIN_MS);
  const api = new VertexAiApi({ token, origin: originOf(deployment.endpoint), signal, pollMs: POLL_MS });
  try {
    await (values.remove ? removeModels : releaseModels)(api, deployment, (line) => console.log(line));
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Error('it was not done within 55 minutes: run it again, with a new token', { cause: error });
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

function deploymentIn(file: string) {
  try {
    return readModelDeployment(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** Or where gcloud is told that the API is. */
function originOf(endpoint: string): string {
  const other = process.env['CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM']?.replace(/\/$/, '');
  return other ?? `https://${endpoint.split('/')[3]!}-aiplatform.googleapis.com`;
}
