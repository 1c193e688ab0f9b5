import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { VerificationTools } from '#core/contracts/verification.ts';
import { chosenAdapters, openRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import type { PortToVerify } from './verify-port.ts';

/** The ports that a site has from elsewhere, with what runs their contracts there. */
export interface SiteToVerify extends AsyncDisposable {
  readonly ports: readonly PortToVerify[];
}

/** Reaches nothing yet. @throws ConfigurationError where the site's file is wrong. */
export function openSite(configuration: Configuration, tools: Omit<VerificationTools, 'get'>): SiteToVerify {
  const chosen = chosenAdapters(configuration);
  const dataDir = mkdtempSync(join(tmpdir(), 'tribo-verify-'));
  const { portsFile: _, ...rest } = configuration;
  // What an adapter needs beside the service that it is for is had on this machine.
  const runtime = openRuntime({ ...rest, dataDir } as Configuration, 'verify');
  return {
    ports: chosen.map(({ offer: { port, adapter, verify }, settings }) => ({
      ...{ port, adapter },
      ...(verify && { open: () => verify(settings, { ...tools, get: runtime.port }) }),
    })),
    [Symbol.asyncDispose]: async () => {
      await runtime.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
