import { pino } from 'pino';
import { onnxModelInferenceConfigSchema } from '#adapters/embedded/onnx-model-inference/config.ts';
import { OnnxModelInference } from '#adapters/embedded/onnx-model-inference/onnx-model-inference.ts';
import { gcsObjectStoreConfigSchema } from '#adapters/gcp/gcs-object-store/config.ts';
import { GcsObjectStore } from '#adapters/gcp/gcs-object-store/gcs-object-store.ts';
import { createLogger, type LoggerOptions } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import type { ModelServerConfig } from './config.ts';
import { modelsInFolder, modelsInStore } from './model-location.ts';
import { startModelServer, type RunningModelServer } from './model-server.ts';
import type { DeployedArtifact } from './served-models.ts';

const NAME = 'model-server';

/** The model server as a process of its own. It has no data folder: its models are deployed with it, or come with requests. */
export async function composeModelServer(
  config: ModelServerConfig,
  { level }: Pick<LoggerOptions, 'level'> = {},
): Promise<RunningModelServer> {
  // One more than are served: the runtime is proven by a model of its own.
  const settings = onnxModelInferenceConfigSchema.parse({ maxLoadedModels: config.maxModels + 1 });
  const inference = new OnnxModelInference(settings);
  try {
    const server = await startModelServer(config, {
      inference,
      deployed: deployedModels(config.models),
      logger: createLogger({ service: NAME, destination: pino.destination(2), ...(level && { level }) }),
      metrics: createMetricsRegistry(NAME),
    });
    return {
      ...server,
      close: async () => {
        await server.close();
        await inference.close();
      },
    };
  } catch (error) {
    await inference.close();
    throw error;
  }
}

async function* deployedModels(location: string | undefined): AsyncGenerator<DeployedArtifact> {
  if (location === undefined) return;
  const [, bucket, path = ''] = /^gs:\/\/([^/]+)\/?(.*)$/.exec(location) ?? [];
  if (bucket === undefined) {
    yield* modelsInFolder(location);
    return;
  }
  const prefix = path === '' || path.endsWith('/') ? path : `${path}/`;
  const store = await GcsObjectStore.open(gcsObjectStoreConfigSchema.parse({ bucket, prefix }));
  try {
    yield* modelsInStore(store);
  } finally {
    store.close();
  }
}
