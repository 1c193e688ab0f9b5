import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCommand } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 120_000;

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

describe('tribo alarm', () => {
  let server: Server;
  let given: string[];
  beforeAll(async () => {
    server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
      if (pathname.endsWith('/journal')) return void response.end(JSON.stringify({ items: [] }));
      if (pathname.endsWith('/a-1')) return void response.end(JSON.stringify(ALARM));
      const items = Array.from({ length: Number(searchParams.get('limit')) }, () => ALARM);
      response.end(JSON.stringify({ items, nextCursor: 'more' }));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    given = ['--url', `http://127.0.0.1:${(server.address() as AddressInfo).port}`, '--token', 't'];
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  it(
    'show says why, in which window, what it means, what to do and where the spectrum is',
    async () => {
      const { stdout } = await runCommand(['alarm', 'show', 'a-1', ...given]);
      expect(stdout.split('\n')).toEqual([
        'Vibration is high (high, unacknowledged) on akron/press-7, raised 2026-11-21 06:00:00Z',
        '  because velocity_rms 7.4 mm/s is above 7.1 mm/s [rule high version 1]',
        '    from 2026-11-21 05:59:00Z to 2026-11-21 06:00:00Z',
        `    spectrum ${given[1]}/v1/waveforms/w-1/spectrum`,
        '  it means: The bearing fails.',
        '  what to do: Look at the bearing.',
        '',
      ]);
    },
    TIMEOUT_MS,
  );

  it(
    'list says when there are more than it shows',
    async () => {
      const { code, stdout, stderr } = await runCommand(['alarm', 'list', '--limit', '2', '--json', ...given]);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toHaveLength(2);
      expect(stderr).toBe('There are more than these 2: --limit <count> shows them.\n');
    },
    TIMEOUT_MS,
  );
});
