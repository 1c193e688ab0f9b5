import { runService } from '#services/shared/process/run-service.ts';
import { composePushedReadings, NAME } from './composition.ts';

await runService(NAME, () => composePushedReadings(process.env));
