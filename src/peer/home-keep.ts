/**
 * Keep on files. A value is replaced by writing a temporary file, fsync, rename, fsync of the directory; a log is a
 * record-log.ts. Secrets live in a directory of their own, and one that others can read is refused rather
 * than used. What cannot be read whole is an error, never an empty value.
 *
 *   <directory>/<name>.value, <directory>/secret/<name>.value
 *     "SKV1" | checksum (16 bytes: SHA-256 of the value, cut) | value
 *   <directory>/<name>.log, <directory>/<name>.torn
 */
import { lstat, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from '../base/assert.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { Keep } from '../base/keep.ts'
import { describeDiskError, readIfPresent, removeIfPresent, replaceFile } from './durable-file.ts'
import type { RecordLog } from './record-log.ts'
import { damaged } from './damaged.ts'
import { checksum, checksumBytes, createRecordLog } from './record-log.ts'

const magic = Buffer.from('SKV1')

/** @param directory made when missing, readable by the owner only. */
export async function createHomeKeep(env: Env, directory: string): Promise<Keep> {
  const secrets = join(directory, 'secret')
  await mkdir(secrets, { recursive: true, mode: 0o700 })
  const inOrder = createTurns()
  const logs = new Map<string, RecordLog>()
  const at = (name: string, ending: string, base = directory): string => {
    assert(/^[a-z0-9][a-z0-9.-]{0,63}$/.test(name), 'names of kept things are short and plain')
    return join(base, `${name}.${ending}`)
  }
  const logOf = (name: string): RecordLog => {
    const found = logs.get(name) ?? createRecordLog(env.log, at(name, 'log'))
    logs.set(name, found)
    return found
  }
  return {
    read: (name) =>
      inOrder(name, async () => {
        const secret = await readValue(at(name, 'value', secrets), true)
        return secret ?? (await readValue(at(name, 'value'), false))
      }),
    write: (name, value, options) => {
      const content = Buffer.concat([magic, checksum(value), value])
      const [base, other] = options?.secret === true ? [secrets, directory] : [directory, secrets]
      return inOrder(name, async () => {
        await replaceFile(at(name, 'value', base), base, content)
        // Only after the new one is safe: a secret is looked for first, so it must not outlive its replacement
        await removeIfPresent(at(name, 'value', other), other)
      })
    },
    append: (name, record) => {
      const owned = record.slice() // the caller may reuse its buffer while this waits for its turn
      return inOrder(name, () => logOf(name).append(owned))
    },
    readLog: (name) => inOrder(name, () => logOf(name).read()),
    remove: (name) =>
      inOrder(name, async () => {
        await removeIfPresent(at(name, 'value', secrets), secrets)
        await removeIfPresent(at(name, 'value'), directory)
        await logOf(name).remove()
      }),
  }
}

async function readValue(path: string, isSecret: boolean): Promise<Uint8Array | undefined> {
  const bytes = await readIfPresent(path)
  if (bytes === undefined) return undefined
  if (isSecret) await requirePrivate(path)
  const value = bytes.subarray(magic.length + checksumBytes)
  const stored = bytes.subarray(magic.length, magic.length + checksumBytes)
  if (!bytes.subarray(0, magic.length).equals(magic) || !checksum(value).equals(stored)) throw damaged(path)
  return new Uint8Array(value)
}

/** Runs the works of one name one after the other; a failed one does not stop the next. */
function createTurns(): <T>(name: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>()
  return (name, work) => {
    const turn = (last.get(name) ?? Promise.resolve())
      .catch(() => undefined) // because: the one who asked for it was told
      .then(() => work().catch((error: unknown) => Promise.reject(describeDiskError(error))))
    last.set(name, turn)
    const forget = (): void => {
      if (last.get(name) === turn) last.delete(name)
    }
    turn.then(forget, forget)
    return turn
  }
}

async function requirePrivate(path: string): Promise<void> {
  const stat = await lstat(path)
  if (process.platform === 'win32' || (stat.mode & 0o077) === 0) return
  throw new SkeinError('home.unusable', `${path} holds a secret but others may read it`, {
    fix: `chmod 600 '${path}'`,
  })
}
