import { loadConfiguration } from '#services/shared/config/load.ts';
import { runService } from '#services/shared/process/run-service.ts';
import { composeAlertEngine } from './composition.ts';

await runService('alert-engine', () => composeAlertEngine(loadConfiguration({ env: process.env })));
