/**
 * Looks at a home without touching it, for `doctor`: each finding says what is wrong and the command that mends it.
 * The peer runs the same checks from inside and adds its own.
 */
import { accessSync, constants, lstatSync, readdirSync, statfsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { limits } from '../base/limits.ts'
import type { DoctorCheck } from '../peer/api.ts'
import { readLockOwner } from './home-lock.ts'
import { keepPath, lockPath, logPath } from './home-path.ts'

const oldestNode: readonly [number, number] = [24, 12]

/** @param home absolute; may not exist. */
export function inspectHome(home: string): readonly DoctorCheck[] {
  const checks = [checkNode(process.versions.node), checkDirectory(home)]
  if (checks.every((check) => check.ok)) checks.push(checkSecrets(home), checkSpace(home), checkLog(home))
  return checks
}

/** The process that holds the home, if one does. */
export async function findHomeOwner(home: string): Promise<number | undefined> {
  return (await readLockOwner(lockPath(home)))?.pid
}

const good = (name: string): DoctorCheck => ({ name, ok: true })
const bad = (name: string, cause: string, fix: string): DoctorCheck => ({ name, ok: false, cause, fix })

export function checkNode(version: string): DoctorCheck {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isNew = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
  if (isNew) return good('node version')
  const needed = oldestNode.join('.')
  return bad(
    'node version',
    `this is Node ${version}; ${needed} or newer is needed`,
    `install Node ${needed}`,
  )
}

function checkDirectory(home: string): DoctorCheck {
  const name = 'home directory'
  const stat = lstatSync(home, { throwIfNoEntry: false })
  if (stat === undefined) return bad(name, `${home} does not exist yet`, 'skein up')
  if (!stat.isDirectory() && !stat.isSymbolicLink()) {
    return bad(name, `${home} is not a directory`, `move it away, or use another home: --home DIR`)
  }
  if (stat.isDirectory() && process.platform !== 'win32' && (stat.mode & 0o077) !== 0) {
    return bad(name, `others can look into ${home}`, `chmod 700 '${home}'`)
  }
  try {
    accessSync(home, constants.W_OK)
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && error.code === 'EROFS'
        ? 'the disk is read-only'
        : 'no permission'
    return bad(
      name,
      `${home} cannot be written to: ${why}`,
      'mount it writable, or use another home: --home DIR',
    )
  }
  return good(name)
}

function checkSecrets(home: string): DoctorCheck {
  const name = 'secret files'
  const directory = join(keepPath(home), 'secret')
  if (process.platform === 'win32' || lstatSync(directory, { throwIfNoEntry: false }) === undefined)
    return good(name)
  const open = readdirSync(directory).find((file) => (lstatSync(join(directory, file)).mode & 0o077) !== 0)
  if (open === undefined) return good(name)
  return bad(name, `others may read ${join(directory, open)}`, `chmod 600 '${join(directory, open)}'`)
}

function checkSpace(home: string): DoctorCheck {
  const space = statfsSync(home)
  const freeBytes = space.bavail * space.bsize
  if (freeBytes >= limits.startFreeBytes) return good('disk space')
  return bad(
    'disk space',
    `${Math.floor(freeBytes / 1024)} KiB are free for ${home}`,
    'free some space on that disk',
  )
}

function checkLog(home: string): DoctorCheck {
  const name = 'log file'
  const directory = dirname(logPath(home))
  if (lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() === false) {
    return bad(name, `${directory} is not a directory`, `move it away: mv '${directory}' '${directory}.old'`)
  }
  const stat = lstatSync(logPath(home), { throwIfNoEntry: false })
  if (stat === undefined || stat.isFile()) return good(name)
  return bad(
    name,
    `${logPath(home)} is not a plain file`,
    `move it away: mv '${logPath(home)}' '${logPath(home)}.old'`,
  )
}
