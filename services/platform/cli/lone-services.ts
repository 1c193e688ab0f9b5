import { runningServices } from '#services/shared/process/service-address.ts';
import { CommandError } from './output.ts';

/** A service that was started by itself would go on writing to a folder that no platform holds. @throws CommandError conflict */
export function refuseUnderServices(dataDir: string, remedy: string): void {
  const services = runningServices(dataDir).map(({ name, pid }) => `${name} (process ${pid})`);
  if (services.length === 0) return;
  throw new CommandError(
    'conflict',
    `without a platform, services run on ${dataDir}: ${services.join(', ')}`,
    `stop them, then ${remedy}`,
  );
}
