/**
 * Keys this device had before it left a mesh. The audit log goes on through that, so heads they signed are its own.
 * Kept: the log `former-keys`, one PeerId a record.
 */
import type { PeerId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'

const logName = 'former-keys'

export async function keepFormerKeys(keep: Keep, keys: readonly PeerId[]): Promise<void> {
  const known = await readFormerKeys(keep)
  for (const key of keys) if (!known.has(key)) await keep.append(logName, new TextEncoder().encode(key))
}

export async function readFormerKeys(keep: Keep): Promise<ReadonlySet<string>> {
  return new Set((await keep.readLog(logName)).map((record) => new TextDecoder().decode(record)))
}
