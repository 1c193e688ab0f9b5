import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { loadMapping } from './mapping-file.ts';

const EXAMPLE = fileURLToPath(new URL('../../environments/mapping-example.yaml', import.meta.url));

describe('environments/mapping-example.yaml', () => {
  it.each([
    [
      'modax/press-7/sensor_data',
      '{ "device_id": "press-7", "timestamp": 1795222800000, "sensor_data": { "current_mean": 4.2 } }',
      'demo/akron/press-7',
      { ts: 1_795_222_800_000, metrics: { current: 4.2 } },
    ],
    [
      'plant/akron/hall-2/7/state',
      '{ "message id": "m-1", "t": [1795222800], "readings": { "temp": 142, "rpm": 1480 } }',
      'demo/akron/line-7',
      {
        id: 'm-1',
        ts: 1_795_222_800_000,
        metrics: { temperature: { value: 142, unit: '[degF]' }, rpm: 1480 },
      },
    ],
  ])('reads its own example on %s', (topic, payload, machine, message) => {
    const mapped = loadMapping(EXAMPLE).map(topic, Buffer.from(payload));
    expect(mapped?.machine).toBe(machine);
    expect(JSON.parse(Buffer.from(mapped!.content.payload).toString())).toEqual(message);
  });
});

describe('a mapping file that is wrong', () => {
  it.each([
    [
      'a field that is none',
      'version: 1\nmappings:\n  - topic: a/b\n    machin: x\n',
      /mappings\.0\.machine: .*"machin"/,
    ],
    [
      'a path that is none',
      'version: 1\nmappings:\n  - { topic: a, time: when }\n',
      /mappings\.0\.time: must be a path/,
    ],
    ['no YAML', 'version: [1\n', /line 2/],
    ['nothing', '', /the file: /],
  ])('is refused with file and field: %s', (_reason, text, problem) => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-mapping-'));
    try {
      const path = join(folder, 'mapping.yaml');
      writeFileSync(path, text);
      expect(() => loadMapping(path)).toThrow(problem);
      expect(() => loadMapping(path)).toThrow(`mapping file ${path}: `);
      expect(() => loadMapping(path)).toThrow(/correct it, or TRIBO_MAPPING_FILE or --mapping-file/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
