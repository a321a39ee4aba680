/** Where the program itself is: its version, its entries, the Node that runs it. Loads nothing of the peer. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** `.ts` in the checkout, `.js` in the built package. */
const ending = import.meta.url.slice(import.meta.url.lastIndexOf('.'))

/** The entry of the background process. */
export const daemonPath = (): string => fileURLToPath(new URL(`../peer/daemon${ending}`, import.meta.url))

/**
 * Options of Node for the background process: it gives memory back itself when it is quiet (peer/memory-trim.ts), and two
 * helper threads of V8 do for what it compiles and collects (1.3 MB less than four).
 */
export const daemonNodeOptions: readonly string[] = ['--expose-gc', '--v8-pool-size=2']

/** Version in package.json, `0.0.0` when there is none around. */
export function readVersion(): string {
  const root = ending === '.ts' ? '../../' : '../../../'
  try {
    const value: unknown = JSON.parse(readFileSync(new URL(`${root}package.json`, import.meta.url), 'utf8'))
    if (typeof value === 'object' && value !== null && 'version' in value) return String(value.version)
  } catch (error) {
    if (!(error instanceof Error)) throw error // because: a missing or odd package.json only costs the number
  }
  return '0.0.0'
}

/**
 * Where Node keeps compiled code between starts. Never its default in the shared temporary directory: whoever
 * makes that first could put code of their own there.
 */
export function compileCachePath(): string {
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'skein', 'compiled')
  if (process.platform === 'win32') {
    return join(process.env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'skein', 'compiled')
  }
  const cache = process.env['XDG_CACHE_HOME']
  return join(cache?.startsWith('/') === true ? cache : join(homedir(), '.cache'), 'skein', 'compiled')
}
