/** Secrets are files of mode 0600 in this folder of mode 0700. */
export interface FileSecretStoreConfig {
  readonly directory: string;
}
