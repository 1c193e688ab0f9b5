/** In the pool of a copy of a service: its adapters have equal settings, so that they share one (adapters/postgres). */
const POOL = 10;
/** Where the database is of the smallest class, whose one or two vCPUs do no more at a time, and whose memory is not for hundreds. */
const SMALL_POOL = 2;
/** Besides its pool a copy has one that listens. */
const LISTENING = 1;
/** What the server keeps for itself (15 at Azure), a command, and somebody who looks. */
export const OTHER_CONNECTIONS = 30;
/** Told in such steps, as the database restarts for another number. */
const STEP = 50;
/** Of PostgreSQL itself. */
const MOST = 262_143;

/** Connections to a site's database. */
export interface Connections {
  /** In the pool of each copy of a service: `maxConnections` of the ports file. */
  readonly pool: number;
  /** Of all copies of the services, when each has as many as it may: under load, while a release is rolled out. */
  readonly ofServices: number;
  /** By the server, before it refuses one. */
  readonly taken: number;
  /** Whether the server has to be told so, as it takes too few by itself. */
  readonly isTold: boolean;
}

/** How many copies there may be, and the server that takes so many where nobody tells it. */
interface Asked {
  readonly copies: number;
  readonly isSmall: boolean;
  readonly untold: number;
  /** More than that it cannot be told, where that is fewer than PostgreSQL itself takes. */
  readonly most?: number;
}

/** Connections of so many copies to such a server. @throws Error where no server takes as many. */
export function connectionsOf({ copies, isSmall, untold, most = MOST }: Asked): Connections {
  const pool = isSmall ? SMALL_POOL : POOL;
  const ofServices = copies * (pool + LISTENING);
  const needed = ofServices + OTHER_CONNECTIONS;
  if (needed > most)
    throw new Error(`${copies} copies of services may have ${needed} connections, and the database takes ${most}`);
  const isTold = needed > untold;
  return { pool, ofServices, taken: isTold ? Math.min(Math.ceil(needed / STEP) * STEP, most) : untold, isTold };
}
