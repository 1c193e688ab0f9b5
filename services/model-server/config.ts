import { parseArgs } from 'node:util';
import { z } from 'zod';
import { PortError } from '#core/errors.ts';

const MIB = 1024 * 1024;

const route = z.string().regex(/^\/[^?#]*$/, { error: 'must be a path that begins with /' });
const whole = (least: number, most: number) => z.coerce.number().int().min(least).max(most);

const schema = z.strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  port: whole(0, 65_535).default(8080),
  /** Where models lie: a folder, or a prefix of Cloud Storage. Absent: models come with requests alone. */
  models: z
    .string()
    .regex(/^(gs:\/\/[^/]+(\/.*)?|(?!\w+:\/\/).+)$/, { error: 'must be a folder or gs://bucket/prefix' })
    .optional(),
  /** Whether a request may bring the model that it is about. */
  uploads: z.enum(['on', 'off']).default('on'),
  /** Models in memory, those of the location included; of those that came with requests the least recently used is closed beyond it. */
  maxModels: whole(1, 100_000).default(1024),
  /** Of the artifacts of all models in memory together. */
  maxModelBytes: whole(1024, 16_384 * MIB).default(64 * MIB),
  maxBodyBytes: whole(1024, 256 * MIB).default(32 * MIB),
  /** Requests that are being read or worked on; one more is refused. */
  maxRequests: whole(1, 1000).default(32),
  /** Answer predictions and health besides the routes that every server has. */
  predictRoute: route.optional(),
  healthRoute: route.optional(),
});

export type ModelServerConfig = z.infer<typeof schema>;

const FLAGS = {
  host: 'host',
  port: 'port',
  models: 'models',
  uploads: 'uploads',
  'max-models': 'maxModels',
  'max-model-bytes': 'maxModelBytes',
  'max-body-bytes': 'maxBodyBytes',
  'max-requests': 'maxRequests',
} as const;

/** Where SageMaker unpacks the model's archive. */
const SAGEMAKER_FOLDER = '/opt/ml/model';

/**
 * By flags, and else by what the cloud tells its containers: Vertex AI by `AIP_*`, Azure ML by `AZUREML_MODEL_DIR`, SageMaker by a folder that
 * `isFolder` finds. SageMaker starts a container with the argument `serve`, which means nothing here.
 * @throws PortError invalid_argument, with every flag or variable that is wrong.
 */
export function parseModelServerConfig(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  isFolder: (path: string) => boolean,
): ModelServerConfig {
  const given = {
    ...{ port: env['AIP_HTTP_PORT'], predictRoute: env['AIP_PREDICT_ROUTE'], healthRoute: env['AIP_HEALTH_ROUTE'] },
    models: env['AIP_STORAGE_URI'] || env['AZUREML_MODEL_DIR'] || (isFolder(SAGEMAKER_FOLDER) && SAGEMAKER_FOLDER),
    ...flagsOf(args),
  };
  const present = Object.entries(given).filter(([, value]) => value !== undefined && value !== '' && value !== false);
  const { data, error } = schema.safeParse(Object.fromEntries(present));
  if (data) return data;
  const problems = error.issues.map(({ path: [key], message }) => `${nameOf(String(key))}: ${message}`);
  throw new PortError('invalid_argument', problems.join('; '), { cause: error });
}

function flagsOf(args: readonly string[]): Readonly<Record<string, unknown>> {
  try {
    const options = Object.fromEntries(Object.keys(FLAGS).map((flag) => [flag, { type: 'string' as const }]));
    const { values } = parseArgs({ args: args.filter((each) => each !== 'serve'), options });
    return Object.fromEntries(
      Object.entries(values).map(([flag, value]) => [FLAGS[flag as keyof typeof FLAGS], value]),
    );
  } catch (error) {
    throw new PortError('invalid_argument', `${String(error)}; there are --${Object.keys(FLAGS).join(', --')}`);
  }
}

const VARIABLES: Readonly<Record<string, string>> = {
  port: '--port or AIP_HTTP_PORT',
  models: '--models, AIP_STORAGE_URI or AZUREML_MODEL_DIR',
  predictRoute: 'AIP_PREDICT_ROUTE',
  healthRoute: 'AIP_HEALTH_ROUTE',
};

function nameOf(key: string): string {
  return VARIABLES[key] ?? `--${Object.entries(FLAGS).find(([, each]) => each === key)?.[0]}`;
}
