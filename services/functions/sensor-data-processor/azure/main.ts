import { registerQueuedReadings } from './composition.ts';

registerQueuedReadings(process.env);
