import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from '@jest/globals';
import { plantSchema } from '#core/domain/plant.ts';
import { readDescription, sendDescription } from './described-file.ts';
import { CommandError } from './output.ts';

const folder = mkdtempSync(join(tmpdir(), 'tribo-described-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(text: string): string {
  const path = join(folder, 'plant.yaml');
  writeFileSync(path, text);
  return path;
}

const PLANT = `site: akron
machines:
  - id: press-7
    class: press
    bearings:
      - id: de
        elements: two
  - class: pump
`;

const type = 'urn:tribo:problem:invalid-request';

describe('the plant that ships as an example', () => {
  it('is one, with the unit of its speed', () => {
    const path = fileURLToPath(new URL('../../../environments/example-plant.yaml', import.meta.url));
    const { machines } = plantSchema.parse(readDescription(path).value);
    const units = machines.flatMap(({ metrics, sensors }) => [...metrics, ...sensors].map(({ unit }) => unit));
    expect(units).toContain('/min');
  });
});

describe('a file that a person wrote', () => {
  it.each([
    ['a wrong value', '/machines/0/bearings/0/elements', 7, 'machines[0].bearings[0].elements'],
    ['a field that is missing, by what it is missing from', '/machines/1/id', 8, 'machines[1].id'],
    ['a part that is nowhere, by the file itself', '/tenant', 1, 'tenant'],
  ])('is answered with the line of %s', async (_what, pointer, line, field) => {
    const file = readDescription(fileOf(PLANT));
    const refuse = () =>
      Promise.reject(
        new CommandError('data', 'not valid', undefined, { type, errors: [{ pointer, detail: 'is wrong' }] }),
      );
    await expect(sendDescription(file, refuse)).rejects.toMatchObject({
      kind: 'data',
      message: `${file.path}:${line}: ${field}: is wrong`,
    });
  });

  it('is answered with every wrong part, one a line', async () => {
    const file = readDescription(fileOf(PLANT));
    const parts = ['/machines/0/class', '/machines/1'].map((pointer) => ({ pointer, detail: 'is wrong' }));
    const sent = sendDescription(file, () =>
      Promise.reject(new CommandError('data', 'no', undefined, { type, errors: parts })),
    );
    await expect(sent).rejects.toMatchObject({
      message: `${file.path}:4: machines[0].class: is wrong\n${file.path}:8: machines[1]: is wrong`,
    });
  });

  it('leaves alone what has nothing to do with it', async () => {
    const error = new CommandError('unreachable', 'no answer');
    await expect(sendDescription(readDescription(fileOf(PLANT)), () => Promise.reject(error))).rejects.toBe(error);
  });

  it.each([
    ['an unclosed bracket', 'site: [akron\nmachines: []\n', /plant\.yaml:\d+:\d+: /],
    ['a key that comes twice', 'site: a\nsite: b\n', /plant\.yaml:2:1: Map keys must be unique/],
    ['a tab for indentation', 'machines:\n\t- id: a\n', /plant\.yaml:2:1: /],
  ])('that has %s is refused with the line', (_what, text, message) => {
    expect(() => readDescription(fileOf(text))).toThrow(message);
  });

  it('that is not there is refused by its name', () => {
    expect(() => readDescription(join(folder, 'absent.yaml'))).toThrow(/absent\.yaml: ENOENT/);
  });
});
