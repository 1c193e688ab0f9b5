import { answered, cutAfter, cutBefore, late, type WireFault } from '../http-faults.ts';
import type { WireRequest } from '../wire-server.ts';

/** An error as services of AWS answer it. */
export const awsError = (status: number, type: string) =>
  answered(status, JSON.stringify({ __type: type, message: 'by the test' }), {
    'content-type': 'application/x-amz-json-1.1',
  });

/** Takes every other record only, as a shard that has no room does: the rest of the request comes back with an error each. */
export const throttleSome: WireFault = async (request, pass) => {
  const { Records: records, ...rest } = JSON.parse(request.body.toString()) as { Records: readonly unknown[] };
  const taken = records.filter((_, index) => index % 2 === 1);
  const body = Buffer.from(JSON.stringify({ ...rest, Records: taken }));
  const answer = taken.length > 0 ? await pass({ body }) : undefined;
  const results = answer ? (JSON.parse(answer.body.toString()) as { Records: unknown[] }).Records : [];
  const refused = { ErrorCode: 'ProvisionedThroughputExceededException', ErrorMessage: 'Rate exceeded' };
  const all = records.map((_, index) => (index % 2 === 1 ? results.shift() : refused));
  return {
    status: 200,
    headers: { 'content-type': 'application/x-amz-json-1.1' },
    body: Buffer.from(JSON.stringify({ FailedRecordCount: records.length - taken.length, Records: all })),
  };
};

/** What may become of any request; answers are late by so much. */
export const anyFault = (lateMs: number): readonly WireFault[] => [
  awsError(500, 'InternalFailure'),
  awsError(400, 'ProvisionedThroughputExceededException'),
  cutBefore,
  cutAfter,
  late(lateMs),
];

/** Of so many requests to an operation the last fails, again and again: irregular, so that what takes several calls succeeds at some time. */
const GAPS = [2, 5, 3, 8, 4];

/** The faults in turn, for about every fourth request to an operation. */
export function inTurn(faultsOf: (operation: string) => readonly WireFault[]): WireFault {
  const asked = new Map<string, { faults: number; untilNext: number }>();
  return (request, pass) => {
    const operation = operationOf(request);
    const turn = asked.get(operation) ?? { faults: 0, untilNext: GAPS[0]! };
    asked.set(operation, turn);
    if (--turn.untilNext > 0) return pass();
    const faults = faultsOf(operation);
    const fault = faults[turn.faults++ % faults.length];
    turn.untilNext = GAPS[turn.faults % GAPS.length]!;
    return fault ? fault(request, pass) : pass();
  };
}

/** Services with JSON name it; those with paths have one for each thing, and the operation in the method and the path's first part. */
function operationOf({ method, path, headers }: WireRequest): string {
  const target = headers['x-amz-target'];
  if (target !== undefined) return String(target).split('.')[1] ?? '';
  return `${method} ${path.split(/[/?]/)[1]}`;
}
