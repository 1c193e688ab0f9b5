/** Of a copy of a service: its adapters have equal settings, so that they share a pool of ten, and one that listens (adapters/postgres). */
export const CONNECTIONS_A_COPY = 11;
/** What the server keeps for itself (15 at Azure), a second copy of what runs alone while it is replaced, a command, and somebody who looks. */
export const OTHER_CONNECTIONS = 50;
/** Told in such steps, as the database restarts for another number. */
const STEP = 50;

/** Connections to a site's database. */
export interface Connections {
  /** Of all copies of the services, when each has as many as it may. */
  readonly ofServices: number;
  /** By the server, before it refuses one. */
  readonly taken: number;
  /** Whether the server has to be told so, as it takes too few by itself. */
  readonly isTold: boolean;
}

/** Connections of so many copies, to a server that takes so many where nobody tells it. */
export function connectionsOf(copies: number, untold: number): Connections {
  const ofServices = copies * CONNECTIONS_A_COPY;
  const needed = ofServices + OTHER_CONNECTIONS;
  const isTold = needed > untold;
  return { ofServices, taken: isTold ? Math.ceil(needed / STEP) * STEP : untold, isTold };
}
