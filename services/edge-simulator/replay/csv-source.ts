import { glob, stat } from 'node:fs/promises';
import { basename, dirname, join, parse as parsePath } from 'node:path';
import { PortError } from '#core/errors.ts';
import type { MachineDescription } from '../machine-spec.ts';
import { machineColumns } from './csv-mapping.ts';
import type { CsvMapping } from './csv-mapping.ts';
import { csvRowBlocks } from './csv-rows.ts';
import type { CsvRange, CsvRow } from './csv-rows.ts';
import { machineName } from './machine-name.ts';
import type { Recording, ReplayRecord, ReplaySource, SourceOptions } from './source.ts';
import { timestampParser } from './timestamp-format.ts';

export interface CsvSourceOptions extends SourceOptions {
  readonly mapping: CsvMapping;
  readonly plantName: string;
  /** What is known of a machine beyond the mapping. */
  readonly describe?: (machine: string, path: string) => Partial<MachineDescription>;
}

/** Files of delimited text as the mapping reads them: one recording a file, or a block of a file. Reads each file once to check it and to find machines and times. */
export async function openCsvSource(options: CsvSourceOptions): Promise<ReplaySource> {
  const { folder, mapping, tenant, site, plantName } = options;
  const names = await findFiles(folder, mapping.files);
  const machines = new Map<string, MachineDescription>();
  const recordings: Recording[] = [];
  for (const name of names) {
    const layout = await readLayout(join(folder, name), name, options);
    for (const block of await findBlocks(layout)) {
      for (const machine of block.machines) machines.set(machine, describeMachine(machine, name, options));
      recordings.push(recordingOf(layout, block));
    }
  }
  if (recordings.length === 0)
    throw new PortError('invalid_argument', `the files ${mapping.files} in ${folder} have no rows`);
  return { plant: { tenant, site, name: plantName, machines: [...machines.values()] }, recordings };
}

async function findFiles(folder: string, pattern: string): Promise<string[]> {
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory())
    throw new PortError('not_found', `${folder} is not a folder: name the one that holds the files`);
  const names: string[] = [];
  for await (const name of glob(pattern, { cwd: folder })) names.push(name);
  if (names.length === 0) {
    throw new PortError(
      'not_found',
      `no file in ${folder} matches ${pattern}: correct the folder, or "files" in the mapping`,
    );
  }
  return names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/** One file and how its cells are read. */
interface Layout {
  readonly path: string;
  readonly name: string;
  readonly mapping: CsvMapping;
  readonly range: CsvRange;
  readonly parseTimestamp: (row: CsvRow) => number;
  readonly machineOf: (row: CsvRow) => string;
  readonly metricsOf: (row: CsvRow) => Record<string, number>;
}

interface Block {
  readonly name: string;
  readonly range: CsvRange;
  readonly machines: ReadonlySet<string>;
  readonly beginMs: number;
  readonly endMs: number;
}

async function readLayout(path: string, name: string, options: CsvSourceOptions): Promise<Layout> {
  const { mapping, machinePrefix = '' } = options;
  const first = await firstRow(path, mapping.delimiter);
  const header = mapping.header ?? first.cells.map((cell) => cell.trim());
  const range = mapping.header
    ? { delimiter: mapping.delimiter }
    : { delimiter: mapping.delimiter, beginByte: first.endByte, linesBefore: first.line };
  checkColumns(path, header, mapping);
  const columns = header.flatMap((column, index) => {
    const target = Object.hasOwn(mapping.columns, column) ? mapping.columns[column] : undefined;
    return target ? [{ column, index, metric: target.metric }] : [];
  });
  const missing = new Set(mapping.missing);
  return {
    path,
    name,
    mapping,
    range,
    parseTimestamp: timestampReader(path, header, mapping),
    machineOf: machineReader(name, header, mapping, machinePrefix),
    metricsOf: (row) => {
      checkWidth(path, row, header.length);
      const metrics: Record<string, number> = {};
      for (const { column, index, metric } of columns) {
        const cell = row.cells[index]!;
        if (missing.has(cell)) continue;
        const value = Number(cell);
        if (!Number.isFinite(value)) throw badCell(path, row, column, cell);
        metrics[metric] = value;
      }
      return metrics;
    },
  };
}

async function firstRow(path: string, delimiter: string): Promise<CsvRow> {
  for await (const rows of csvRowBlocks(path, { delimiter })) if (rows[0]) return rows[0];
  throw new PortError(
    'invalid_argument',
    `${path} is empty: take it out of the folder, or narrow "files" in the mapping`,
  );
}

function checkColumns(path: string, header: readonly string[], mapping: CsvMapping): void {
  const wanted = [mapping.timestamp.column, ...machineColumns(mapping), ...Object.keys(mapping.columns)];
  const absent = wanted.filter((column) => !header.includes(column));
  if (absent.length > 0) {
    throw new PortError(
      'invalid_argument',
      `${path} has no column ${quoted(absent)}; it has ${quoted(header)}: correct the mapping (its delimiter is ${JSON.stringify(mapping.delimiter)})`,
    );
  }
  const known = new Set([...wanted, ...mapping.ignore]);
  const unknown = header.filter((column) => !known.has(column));
  if (unknown.length > 0) {
    throw new PortError(
      'invalid_argument',
      `${path} has the column ${quoted(unknown)}, which the mapping does not know: give it a metric under "columns", or put it under "ignore"`,
    );
  }
}

function timestampReader(path: string, header: readonly string[], { timestamp }: CsvMapping): Layout['parseTimestamp'] {
  const parse = timestampParser(timestamp);
  const index = header.indexOf(timestamp.column);
  return (row) => {
    const tsMs = parse(row.cells[index] ?? '');
    if (tsMs !== undefined) return tsMs;
    throw new PortError(
      'invalid_argument',
      `${path}:${row.line} column ${JSON.stringify(timestamp.column)}: ${JSON.stringify(row.cells[index] ?? '')} is no time of format ${timestamp.format}: correct timestamp.format in the mapping, or the line`,
    );
  };
}

function machineReader(
  name: string,
  header: readonly string[],
  mapping: CsvMapping,
  prefix: string,
): Layout['machineOf'] {
  const columns = machineColumns(mapping).map((column) => ({ column, index: header.indexOf(column) }));
  const constant = mapping.machine
    .replaceAll('{file}', parsePath(name).name)
    .replaceAll('{folder}', basename(dirname(name)).replace(/^\.$/, ''));
  if (columns.length === 0) {
    const machine = machineName(prefix, constant);
    return () => machine;
  }
  const known = new Map<string, string>();
  return (row) => {
    const key = columns.map(({ index }) => row.cells[index] ?? '').join('\u0000');
    let machine = known.get(key);
    if (machine === undefined) {
      const filled = columns.reduce(
        (text, { column, index }) => text.replaceAll(`{${column}}`, row.cells[index] ?? ''),
        constant,
      );
      machine = machineName(prefix, filled);
      known.set(key, machine);
    }
    return machine;
  };
}

/**
 * Where recordings begin and end: the whole file, or each run of rows of one machine. Reads every cell, so that a file that is not right
 * is refused before a part of it was sent.
 */
async function findBlocks(layout: Layout): Promise<Block[]> {
  const { mapping, range, name } = layout;
  const blocks: Block[] = [];
  let open: { machines: Set<string>; begin: CsvRange; beginMs: number; endMs: number } | undefined;
  let previousEnd = { byte: range.beginByte ?? 0, line: range.linesBefore ?? 0 };
  const close = (): void => {
    if (!open) return;
    const [first] = open.machines;
    blocks.push({
      name: mapping.blocks ? `${name}#${first ?? ''}` : name,
      range: { ...open.begin, endByte: previousEnd.byte },
      machines: open.machines,
      beginMs: open.beginMs,
      endMs: open.endMs,
    });
  };
  for await (const rows of csvRowBlocks(layout.path, range)) {
    for (const row of rows) {
      const machine = layout.machineOf(row);
      const tsMs = layout.parseTimestamp(row);
      layout.metricsOf(row);
      if (!open || (mapping.blocks && !open.machines.has(machine))) {
        close();
        const begin = { delimiter: range.delimiter, beginByte: previousEnd.byte, linesBefore: previousEnd.line };
        open = { machines: new Set(), begin, beginMs: tsMs, endMs: tsMs };
      }
      open.machines.add(machine);
      open.beginMs = Math.min(open.beginMs, tsMs);
      open.endMs = Math.max(open.endMs, tsMs);
      previousEnd = { byte: row.endByte, line: row.line };
    }
  }
  close();
  return blocks;
}

function recordingOf(layout: Layout, { name, machines, range, beginMs, endMs }: Block): Recording {
  return {
    name,
    machines: [...machines],
    beginMs,
    endMs,
    bytes: (range.endByte ?? 0) - (range.beginByte ?? 0),
    async *records(): AsyncGenerator<ReplayRecord, void, undefined> {
      for await (const rows of csvRowBlocks(layout.path, range)) {
        for (const row of rows) {
          const tsMs = layout.parseTimestamp(row);
          yield { machine: layout.machineOf(row), kind: 'telemetry', tsMs, metrics: layout.metricsOf(row) };
        }
      }
    },
  };
}

function describeMachine(id: string, path: string, { mapping, describe }: CsvSourceOptions): MachineDescription {
  const metrics = Object.values(mapping.columns).map(({ metric, unit }) => ({ name: metric, unit }));
  return { id, class: mapping.machineClass, metrics, ...describe?.(id, path) };
}

/** Empty cells at the end are what a trailing delimiter makes. */
function checkWidth(path: string, row: CsvRow, columns: number): void {
  const surplus = row.cells.slice(columns).filter((cell) => cell !== '');
  if (row.cells.length >= columns && surplus.length === 0) return;
  throw new PortError(
    'invalid_argument',
    `${path}:${row.line} has ${row.cells.length} cells where the header has ${columns}: correct the line`,
  );
}

function badCell(path: string, row: CsvRow, column: string, cell: string): PortError {
  return new PortError(
    'invalid_argument',
    `${path}:${row.line} column ${JSON.stringify(column)}: ${JSON.stringify(cell.slice(0, 40))} is no number: put it under "missing" in the mapping if it means that there is none, or the column under "ignore"`,
  );
}

function quoted(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(', ');
}
