/** Where the store lives and what it may use. */
export interface DuckDbTimeSeriesStoreConfig {
  /** The folder of this store alone; one process owns it. */
  readonly directory: string;
  /** What DuckDB's buffers may take, in MiB; the process needs about 150 MiB besides. */
  readonly memoryLimitMiB?: number;
  /** Queries at a time; further ones wait. */
  readonly maxConcurrentQueries?: number;
}
