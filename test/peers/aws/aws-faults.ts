import { answered, type WireFault } from '../http-faults.ts';
import type { WireRequest } from '../wire-server.ts';

/** An error as services of AWS answer it. */
export const awsError = (status: number, type: string) =>
  answered(status, JSON.stringify({ __type: type, message: 'by the test' }), {
    'content-type': 'application/x-amz-json-1.1',
  });

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
