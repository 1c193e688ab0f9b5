import { loadConfiguration } from '#services/shared/config/load.ts';
import { runService } from '#services/shared/process/run-service.ts';
import { composeFeatureService } from './composition.ts';

await runService('feature-service', () => composeFeatureService(loadConfiguration({ env: process.env })));
