import type { StreamRetention } from './config.ts';
import { readFrameHeader } from './frame-codec.ts';
import type { LogCommit, LogFile, LogHead } from './log-file.ts';

/** At most so many frames go with one commit, so that it stays short. */
const MAX_FRAMES_A_COMMIT = 64;

/** The oldest frames that age or size lets go of, never one at or after the position below which every declared group has settled all. */
export function planRemoval(
  file: LogFile,
  head: LogHead,
  settledBelow: number,
  retention: StreamRetention,
  nowMs: number,
): LogCommit['removed'] {
  const positions: number[] = [];
  let bytes = 0;
  let firstPosition = head.firstPosition;
  for (const position of file.framePositions(head.firstPosition, MAX_FRAMES_A_COMMIT)) {
    const frame = file.readFrame(position);
    if (!frame) break;
    const { count, committedAtMs } = readFrameHeader(frame);
    const isOld = committedAtMs < nowMs - retention.maxAgeMs;
    const isExcess = head.bytes - bytes > retention.maxBytes;
    if (position + count > settledBelow || !(isOld || isExcess)) break;
    positions.push(position);
    bytes += frame.byteLength;
    firstPosition = position + count;
  }
  return { positions, bytes, firstPosition };
}

export function removeNothing(head: LogHead): LogCommit['removed'] {
  return { positions: [], bytes: 0, firstPosition: head.firstPosition };
}
