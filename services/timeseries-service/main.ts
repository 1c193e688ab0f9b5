import { loadConfiguration } from '#services/shared/config/load.ts';
import { runService } from '#services/shared/process/run-service.ts';
import { composeTimeseriesService } from './composition.ts';

await runService('timeseries-service', () => composeTimeseriesService(loadConfiguration({ env: process.env })));
