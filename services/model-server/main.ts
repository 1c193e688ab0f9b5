import { existsSync } from 'node:fs';
import { runService } from '#services/shared/process/run-service.ts';
import { composeModelServer } from './composition.ts';
import { parseModelServerConfig } from './config.ts';

await runService('model-server', async () =>
  composeModelServer(parseModelServerConfig(process.argv.slice(2), process.env, existsSync)),
);
