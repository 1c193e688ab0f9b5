import { loadConfiguration } from '#services/shared/config/load.ts';
import { runService } from '#services/shared/process/run-service.ts';
import { composeApiGateway } from './composition.ts';

await runService('api-gateway', () => composeApiGateway(loadConfiguration({ env: process.env })));
