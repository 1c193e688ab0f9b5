import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Container } from 'inversify';
import { embeddedModule } from '#adapters/embedded/module.ts';
import { portToken, type BoundPorts, type PortName } from '#core/ports/tokens.ts';

/** The embedded provider's own ports over a fresh folder, for tests of what stands on them. */
export interface EmbeddedPorts extends AsyncDisposable {
  readonly dataDir: string;
  get<Name extends PortName>(name: Name): Promise<BoundPorts[Name]>;
}

export function openEmbeddedPorts(): EmbeddedPorts {
  const dataDir = mkdtempSync(join(tmpdir(), 'tribo-'));
  const settings = { dataDir, processName: 'test', streamRetentionMs: 86_400_000, streamMaxBytes: 2 ** 28 };
  const embedded = embeddedModule(settings);
  const container = new Container();
  container.load(embedded.module);
  return {
    dataDir,
    get: (name) => container.getAsync(portToken(name)),
    [Symbol.asyncDispose]: async () => {
      await embedded.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}
