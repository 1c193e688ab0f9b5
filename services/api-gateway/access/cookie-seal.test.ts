import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { systemClock } from '#core/clock.ts';
import { RememberedSecrets } from '#core/contracts/remembered-secrets.ts';
import { CookieSeal } from './cookie-seal.ts';

it('copies that start together have one key: what one seals, each reads', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-seal-'));
  const checkpoints = await SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, systemClock);
  const stores = { checkpoints, secrets: new RememberedSecrets() };
  const seals = await Promise.all(Array.from({ length: 6 }, () => CookieSeal.open(stores)));
  const sealed = seals[0]!.seal('session', { id: 'one' });
  for (const seal of [...seals, await CookieSeal.open(stores)])
    expect(seal.unseal('session', sealed)).toEqual({ id: 'one' });
  await checkpoints.close();
  rmSync(folder, { recursive: true });
});
