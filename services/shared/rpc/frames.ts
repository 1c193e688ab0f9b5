import type { Socket } from 'node:net';
import { Packr } from 'msgpackr';

/** A frame is a length of four bytes and a MessagePack value. A larger one is a defect or an attack, and ends the connection. */
export const MAX_FRAME_BYTES = 256 * 1024 * 1024;

const LENGTH_BYTES = 4;
// Objects travel as records and so differ from Maps; typed arrays and undefined survive. Nothing is shared between frames: each side may restart alone.
const packr = new Packr({ structuredClone: true, moreTypes: true, useRecords: true, mapsAsObjects: false });

/** Writes a value as one frame; resolves when the socket wants more. */
export async function writeFrame(socket: Socket, value: unknown): Promise<void> {
  const body = packr.pack(value);
  if (body.length > MAX_FRAME_BYTES)
    throw new RangeError(
      `a message of ${body.length} bytes is above the ${MAX_FRAME_BYTES} of a frame: ask for less at a time`,
    );
  const length = Buffer.allocUnsafe(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  socket.cork();
  socket.write(length);
  const wantsMore = socket.write(body);
  socket.uncork();
  if (!wantsMore && !socket.destroyed) await drained(socket);
}

/** By socket: thousands of calls may wait for the same. */
const drains = new WeakMap<Socket, Promise<void>>();

function drained(socket: Socket): Promise<void> {
  const known = drains.get(socket);
  if (known) return known;
  const drain = new Promise<void>((resolve) => {
    const done = (): void => {
      drains.delete(socket);
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
  drains.set(socket, drain);
  return drain;
}

/** Calls back with each value that arrives. What is no frame ends the connection. */
export function readFrames(socket: Socket, receive: (value: unknown) => void): void {
  let chunks: Buffer[] = [];
  let buffered = 0;
  let needed = LENGTH_BYTES;
  let bodyLength: number | undefined;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    buffered += chunk.length;
    while (buffered >= needed) {
      const bytes = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
      const taken = bytes.subarray(0, needed);
      chunks = bytes.length > needed ? [bytes.subarray(needed)] : [];
      buffered = bytes.length - needed;
      if (bodyLength === undefined) {
        bodyLength = taken.readUInt32BE();
        if (bodyLength > MAX_FRAME_BYTES) {
          socket.destroy(new RangeError(`a frame of ${bodyLength} bytes is above the limit of ${MAX_FRAME_BYTES}`));
          return;
        }
        needed = bodyLength;
      } else {
        bodyLength = undefined;
        needed = LENGTH_BYTES;
        try {
          receive(packr.unpack(taken));
        } catch (error) {
          socket.destroy(error instanceof Error ? error : new Error('the frame could not be read'));
          return;
        }
      }
    }
  });
}
