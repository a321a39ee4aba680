/**
 * What the store of one sealed space needs of a disk: append-only files in one directory. A seam, so that crashes and
 * damage at every byte can be played through; node-vault-disk.ts is the real one.
 */
export interface VaultDisk extends AsyncDisposable {
  /** Names of the files, in no order. */
  list(): Promise<readonly string[]>
  size(name: string): Promise<number>
  /** @returns fewer bytes than asked for only at the end of the file. @throws `disk.failed`, `not.found`. */
  read(name: string, offset: number, length: number): Promise<Uint8Array>
  /** Writes at the end of the file, which is made when missing. @returns where. After an error part of it may be there. */
  append(name: string, parts: readonly Uint8Array[]): Promise<number>
  /** What was appended, and that the file is there, survives a power cut once resolved. */
  sync(name: string): Promise<void>
  /** Takes the place of a file of the new name; durable once resolved. */
  rename(from: string, to: string): Promise<void>
  remove(name: string): Promise<void>
}
