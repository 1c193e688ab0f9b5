/** Where objects are files. The folder belongs to this store; several processes of one machine may use it. */
export interface FileObjectStoreConfig {
  readonly directory: string;
}
