import { loadConfiguration } from '#services/shared/config/load.ts';
import { runService } from '#services/shared/process/run-service.ts';
import { composeIngestionService } from './composition.ts';

await runService('ingestion-service', () => composeIngestionService(loadConfiguration({ env: process.env })));
