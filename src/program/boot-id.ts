/** Which run of the operating system this is: what a killed process wrote is there as long as it lasts. */
import { readFile } from 'node:fs/promises'

/** @returns at most 64 characters, undefined where it cannot be told. */
export async function readBootId(): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined
  try {
    const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    return text.trim().slice(0, 64) || undefined
  } catch {
    return undefined // because: without /proc every stop counts as one of the system, which is the safe side
  }
}
