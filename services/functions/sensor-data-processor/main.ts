import { composeSensorDataProcessor } from './composition.ts';
import type { Answer } from './sensor-data-processor.ts';

let opened: ReturnType<typeof composeSensorDataProcessor> | undefined;

/** What Lambda calls. It is opened once for all calls of an instance, and anew where that failed. */
export async function handler(event: unknown): Promise<Answer> {
  opened ??= composeSensorDataProcessor(process.env);
  const take = await opened.catch((error: unknown) => {
    opened = undefined;
    throw error;
  });
  return take(event);
}
