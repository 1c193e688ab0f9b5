import { PortError } from '#core/errors.ts';

/** Loads what an adapter needs of the SDK of its provider. @throws PortError failed_precondition where that is not installed. */
export async function loadSdk<Parts>(provider: string, load: () => Promise<Parts>): Promise<Parts> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new PortError(
      'failed_precondition',
      `the SDK of ${provider} is not installed: run \`npm run sdks\` in the project's folder`,
      { cause: error },
    );
  }
}
