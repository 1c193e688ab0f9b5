import { loadConfiguration } from '#services/shared/config/load.ts';
import { runService } from '#services/shared/process/run-service.ts';
import { composeMlService } from './composition.ts';

await runService('ml-service', () => composeMlService(loadConfiguration({ env: process.env })));
