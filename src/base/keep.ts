/**
 * Small named pieces of state that must survive: keys, roster, addresses, settings. The seam only; the peer backs
 * it with files (write = temp file, fsync, rename, fsync directory), simulations with memory that can crash.
 */

export interface Keep {
  /** @returns the whole value, or undefined when there is none. @throws `store.failed`, `store.corrupt`. */
  read(name: string): Promise<Uint8Array | undefined>
  /** Replaces the value; durable and all-or-nothing once resolved. `secret` values are readable by the owner only. */
  write(name: string, value: Uint8Array, options?: { readonly secret?: boolean }): Promise<void>
  /** Adds one record to a log; durable once resolved. A torn last record is dropped by `readLog`. */
  append(name: string, record: Uint8Array): Promise<void>
  /** All whole records of a log in order; each was checked against its own checksum. @throws `store.corrupt`. */
  readLog(name: string): Promise<readonly Uint8Array[]>
  remove(name: string): Promise<void>
}

/** Keeps everything in Maps. Values are copied on the way in and out. */
export function createMemoryKeep(): Keep {
  const values = new Map<string, Uint8Array>()
  const logs = new Map<string, Uint8Array[]>()
  return {
    read(name) {
      const value = values.get(name)
      return Promise.resolve(value === undefined ? undefined : Uint8Array.from(value))
    },
    write: (name, value) => Promise.resolve(void values.set(name, Uint8Array.from(value))),
    append(name, record) {
      logs.set(name, [...(logs.get(name) ?? []), Uint8Array.from(record)])
      return Promise.resolve()
    },
    readLog: (name) => Promise.resolve((logs.get(name) ?? []).map((record) => Uint8Array.from(record))),
    remove(name) {
      values.delete(name)
      logs.delete(name)
      return Promise.resolve()
    },
  }
}
