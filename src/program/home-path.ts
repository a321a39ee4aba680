/**
 * Where a peer lives: its home directory, the files in it that others must find, and its control socket.
 * Only names: nothing is opened or made here (home.ts does that), so the CLI can load it at no cost.
 *
 *   <home>/settings.json    what a person may edit (settings.ts)
 *   <home>/keep/            small state that must survive (home-keep.ts)
 *   <home>/data/            stores
 *   <home>/logs/skein.log   JSON lines, rotated (log-file.ts)
 *   <home>/lock/            one process per home (home-lock.ts)
 *   <home>/control.sock     the control socket (control-server.ts); `control.path` names it when it must lie elsewhere
 */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { SkeinError } from '../base/errors.ts'

/** A Unix socket address holds 108 bytes on Linux and 104 on macOS, the final NUL included. */
const socketPathBytes = 103

/** What decides the default home: the platform and the environment variables. */
export interface HomePlace {
  readonly platform: NodeJS.Platform
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly userDirectory: string
}

export const thisPlace = (): HomePlace => ({
  platform: process.platform,
  variables: process.env,
  userDirectory: homedir(),
})

/** `--home` before `$SKEIN_HOME` before the platform's place for application data. Always absolute. */
export function resolveHomePath(option: string | undefined, place: HomePlace = thisPlace()): string {
  if (option === '')
    throw new SkeinError('usage', '--home needs a directory', { fix: 'skein --home DIR ...' })
  const chosen = option ?? place.variables['SKEIN_HOME']
  if (chosen !== undefined && chosen !== '') return resolve(chosen)
  if (place.platform === 'darwin') return join(place.userDirectory, 'Library', 'Application Support', 'Skein')
  if (place.platform === 'win32') {
    return join(place.variables['LOCALAPPDATA'] ?? join(place.userDirectory, 'AppData', 'Local'), 'Skein')
  }
  const data = place.variables['XDG_DATA_HOME']
  // The XDG specification: a relative path is invalid and to be ignored
  const base = data?.startsWith('/') === true ? data : join(place.userDirectory, '.local', 'share')
  return join(base, 'skein')
}

export const settingsPath = (home: string): string => join(home, 'settings.json')
export const logPath = (home: string): string => join(home, 'logs', 'skein.log')
export const lockPath = (home: string): string => join(home, 'lock')
export const keepPath = (home: string): string => join(home, 'keep')
export const controlPointerPath = (home: string): string => join(home, 'control.path')

/** True when the control socket fits into the home itself. */
const fits = (home: string): boolean => Buffer.byteLength(join(home, 'control.sock')) <= socketPathBytes

/** FNV-1a, 64 bits, twice: a short name for a home, not a secret. */
function shortHash(text: string): string {
  let hash = 0xcbf29ce484222325n
  for (const byte of Buffer.from(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash.toString(16).padStart(16, '0')
}

/**
 * Where a peer that starts now puts its control socket. A home with a long path gets a short one in the user's
 * runtime directory; the server writes it to `control.path`, since the CLI may run with another environment.
 */
export function newControlAddress(home: string, place: HomePlace = thisPlace()): string {
  if (place.platform === 'win32') return `\\\\.\\pipe\\skein-${shortHash(home.toLowerCase())}`
  if (fits(home)) return join(home, 'control.sock')
  const runtime = place.variables['XDG_RUNTIME_DIR']
  const base = runtime?.startsWith('/') === true && Buffer.byteLength(runtime) < 60 ? runtime : '/tmp'
  return join(base, `skein-${shortHash(home)}`, 'control.sock')
}

/** Where the control socket of a running peer is. @throws nothing: a missing pointer gives the default place. */
export function findControlAddress(home: string, place: HomePlace = thisPlace()): string {
  if (place.platform === 'win32' || fits(home)) return newControlAddress(home, place)
  try {
    return readFileSync(controlPointerPath(home), 'utf8').trim()
  } catch (error) {
    if (error instanceof Error && 'code' in error) return newControlAddress(home, place)
    throw error
  }
}
