import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import { runCommand } from '#test/support/platform-process.ts';

const ALARM = {
  ...{ id: 'a-1', site: 'akron', machine: 'press-7', title: 'Vibration is high', priority: 'high' },
  ...{ consequence: 'The bearing fails.', response: 'Look at the bearing.', state: 'unacknowledged' },
  raisedMs: Date.UTC(2026, 10, 21, 6),
  parts: [
    {
      message: 'velocity_rms 7.4 mm/s is above 7.1 mm/s',
      source: { kind: 'rule', id: 'high', version: 1 },
      fromMs: Date.UTC(2026, 10, 21, 5, 59),
      toMs: Date.UTC(2026, 10, 21, 6),
      waveformId: 'w-1',
    },
  ],
};

it('tribo alarm show says why, in which window, what it means, what to do and where the spectrum is', async () => {
  const server = createServer(({ url }, response) =>
    response.end(JSON.stringify(url?.includes('/journal') ? { items: [] } : ALARM)),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { stdout } = await runCommand(['alarm', 'show', 'a-1', '--url', url, '--token', 't']);
    expect(stdout.split('\n')).toEqual([
      'Vibration is high (high, unacknowledged) on akron/press-7, raised 2026-11-21 06:00:00',
      '  because velocity_rms 7.4 mm/s is above 7.1 mm/s [rule high version 1]',
      '    from 2026-11-21 05:59:00 to 2026-11-21 06:00:00',
      `    spectrum ${url}/v1/waveforms/w-1/spectrum`,
      '  it means: The bearing fails.',
      '  what to do: Look at the bearing.',
      '',
    ]);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}, 60_000);
