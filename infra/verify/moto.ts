import { join } from 'node:path';
import { Moto } from '../../test/peers/moto.ts';
import { freePort, PeerProcess } from '../../test/peers/peer-process.ts';

/** Moto as the stacks need it, with what it lacks filled in (moto-server.py); it ends with `server`. */
export async function startMoto(): Promise<{ readonly endpoint: string; readonly server: PeerProcess }> {
  const folder = await Moto.folder();
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const server = await PeerProcess.start({
    name: 'moto',
    command: [join(folder, 'venv/bin/python'), join(import.meta.dirname, 'moto-server.py'), String(port)],
    // A role of backups has a policy of AWS's own.
    env: { MOTO_IAM_LOAD_MANAGED_POLICIES: 'true' },
    isReady: async () => (await fetch(`${endpoint}/moto-api/data.json`)).ok,
  });
  return { endpoint, server };
}

/** What the provider asked of moto once more, as the answer was lost, since it began: each got the answer of the first time (moto-server.py). */
export async function answeredAgain(endpoint: string): Promise<readonly string[]> {
  return (await (await fetch(`${endpoint}/answered-again`)).json()) as readonly string[];
}
