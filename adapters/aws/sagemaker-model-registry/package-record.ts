import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { PortError } from '#core/errors.ts';
import type { ModelVersion } from '#core/ports/model-registry.ts';

/** What a model package keeps of a version beside its number. */
export type PackageRecord = Omit<ModelVersion, 'model' | 'version'>;

/** SageMaker takes fifty properties of 256 characters, of letters, digits and few others. */
const PROPERTIES = 50;
const CHARACTERS = 256;

/** The record as customer metadata of a package: JSON, deflated, as base64 in pieces. @throws PortError invalid_argument where it is too large. */
export function propertiesOf(record: PackageRecord): Readonly<Record<string, string>> {
  const text = deflateRawSync(JSON.stringify(record)).toString('base64');
  const pieces = text.match(new RegExp(`.{1,${CHARACTERS}}`, 'g')) ?? [];
  if (pieces.length > PROPERTIES)
    throw new PortError(
      'invalid_argument',
      `inputs, parameters and provenance of a model take ${text.length} characters, and SageMaker keeps ${PROPERTIES * CHARACTERS} with a version: shorten them`,
    );
  return Object.fromEntries(pieces.map((piece, index) => [nameOf(index), piece]));
}

/** @throws PortError data_loss where the properties are not those of a record. */
export function recordOf(properties: Readonly<Record<string, string>>, what: string): PackageRecord {
  try {
    const pieces = Array.from({ length: PROPERTIES }, (_, index) => properties[nameOf(index)] ?? '');
    return JSON.parse(inflateRawSync(Buffer.from(pieces.join(''), 'base64')).toString('utf8')) as PackageRecord;
  } catch (error) {
    const detail = `the metadata of ${what} is not what was registered: register the model again`;
    throw new PortError('data_loss', detail, { cause: error });
  }
}

function nameOf(index: number): string {
  return `tribo-record-${String(index).padStart(2, '0')}`;
}
