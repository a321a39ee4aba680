/**
 * One process per home. Node has no flock, and "delete the stale file, then create mine" lets two takers delete
 * each other's fresh lock. So lock files are numbered and the numbers only grow:
 *
 * - the file with the highest number decides; it is never deleted, only followed by a higher one;
 * - a taker that finds the owner of number n dead or gone writes its record to a temporary file and links it as
 *   n + 1: link fails if the name exists, so one taker wins, and no reader ever sees half a record;
 * - having linked, it lists again: only if its number is still the highest does it hold the lock. (A slow taker may
 *   link a number that was used and cleaned up in the meantime; then a higher one exists and it steps back.)
 * - the holder deletes lower numbers. Letting go writes a higher record without an owner.
 *
 * An owner is dead when its boot is over, or its process id is free or belongs to a process that started later.
 * From another pid namespace (a container on the same kernel) the control socket is asked instead. A lock left by
 * another machine (a home on a network drive) is never taken over: its process cannot be seen from here.
 */
import { execFile } from 'node:child_process'
import { link, mkdir, open, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasCode, SkeinError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { readBootId } from './boot-id.ts'

/** Who holds a home. Unknown facts are empty text. */
export interface LockRecord {
  readonly pid: number
  /** In the system's own form: clock ticks since boot on Linux, a date elsewhere. */
  readonly started: string
  readonly boot: string
  readonly pidNamespace: string
  readonly machine: string
  readonly socket: string
}

export interface HomeLock extends AsyncDisposable {
  readonly record: LockRecord
}

const attempts = 50

/**
 * @param directory made when missing; nothing else may live in it.
 * @param socket where this process will listen, asked by those who cannot see its process id.
 * @throws `home.locked` while another process holds it, with its pid in `details`.
 */
export async function acquireHomeLock(directory: string, socket: string, random: Random): Promise<HomeLock> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const record = { ...(await describeProcess(process.pid)), socket }
  for (let attempt = 0; attempt < attempts; attempt++) {
    const highest = await findHighest(directory)
    const owner = await readRecord(directory, highest)
    if (owner === 'gone') continue // cleaned up by a holder with a higher number: look again
    if (owner !== undefined) await requireDead(owner, directory)
    const mine = highest + 1
    if (!(await publish(directory, mine, JSON.stringify(record), random))) continue
    if ((await findHighest(directory)) !== mine) {
      await rm(join(directory, String(mine)), { force: true })
      continue
    }
    await removeOlder(directory, mine)
    return { record, [Symbol.asyncDispose]: () => release(directory, mine, random) }
  }
  throw new SkeinError('home.locked', 'too many processes want this home at once', { fix: 'try again' })
}

/** Who holds the home now, or undefined. For messages only: it may change the moment after. */
export async function readLockOwner(directory: string): Promise<LockRecord | undefined> {
  try {
    const owner = await readRecord(directory, await findHighest(directory))
    return owner === undefined || owner === 'gone' || (await isDead(owner)) === true ? undefined : owner
  } catch (error) {
    if (hasCode(error, 'store.corrupt') || isMissing(error)) return undefined
    throw error
  }
}

async function release(directory: string, number: number, random: Random): Promise<void> {
  // A home that was deleted under the running peer has no lock to let go of
  if ((await findHighest(directory).catch(() => -1)) !== number) return
  if (await publish(directory, number + 1, '{}', random)) await removeOlder(directory, number + 1)
}

/** Numbers are plain decimal names; anything else in the directory is a temporary file. */
const lockNumbers = (names: readonly string[]): readonly number[] =>
  names.filter((name) => /^[1-9][0-9]{0,14}$/.test(name)).map(Number)

const findHighest = async (directory: string): Promise<number> =>
  Math.max(0, ...lockNumbers(await readdir(directory)))

async function removeOlder(directory: string, than: number): Promise<void> {
  const names = await readdir(directory)
  const older = lockNumbers(names).filter((number) => number < than)
  const left = names.filter((name) => name.endsWith('.tmp')) // of takers that died half way, or will now try again
  await Promise.all([...older, ...left].map((name) => rm(join(directory, String(name)), { force: true })))
}

/** @returns false when the number was taken. */
async function publish(directory: string, number: number, content: string, random: Random): Promise<boolean> {
  const temporary = join(directory, `${process.pid}-${random.uint32()}.tmp`)
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await link(temporary, join(directory, String(number)))
    return true
  } catch (error) {
    // Missing: the holder swept our temporary file away, so somebody else was faster
    if (isMissing(error) || (error instanceof Error && 'code' in error && error.code === 'EEXIST'))
      return false
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
}

/** undefined: nobody (never locked, or let go). */
async function readRecord(directory: string, number: number): Promise<LockRecord | 'gone' | undefined> {
  if (number === 0) return undefined
  let text: string
  try {
    text = await readFile(join(directory, String(number)), 'utf8')
  } catch (error) {
    if (isMissing(error)) return 'gone'
    throw error
  }
  return parseRecord(text, directory)
}

function parseRecord(text: string, directory: string): LockRecord | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) throw new TypeError('not an object')
    if (!('pid' in value)) return undefined
    const field = (name: string): string => {
      const found: unknown = Object.getOwnPropertyDescriptor(value, name)?.value
      return typeof found === 'string' ? found : ''
    }
    return {
      pid: Number(value.pid),
      started: field('started'),
      boot: field('boot'),
      pidNamespace: field('pidNamespace'),
      machine: field('machine'),
      socket: field('socket'),
    }
  } catch (error) {
    // Records are linked whole: damage means the disk lost a record written just before a power cut
    throw new SkeinError('store.corrupt', `the lock in ${directory} is damaged`, {
      cause: error,
      fix: `make sure that no skein runs on this home, then: rm -r '${directory}'`,
    })
  }
}

async function requireDead(owner: LockRecord, directory: string): Promise<void> {
  const dead = await isDead(owner)
  if (dead === true) return
  const details = { pid: owner.pid }
  if (dead === false) {
    throw new SkeinError('home.locked', `another skein (process ${owner.pid}) runs on this home`, {
      details,
      fix: 'use that one (skein status), stop it (skein down), or give another home: --home DIR',
    })
  }
  throw new SkeinError('home.locked', `this home is held by process ${owner.pid} on another machine`, {
    details,
    fix: `one home serves one machine: use --home DIR, or if nothing runs there any more: rm -r '${directory}'`,
  })
}

/** undefined: cannot be known from here. */
async function isDead(owner: LockRecord): Promise<boolean | undefined> {
  const here = await describePlace()
  if (owner.boot !== here.boot) return owner.machine === here.machine ? true : undefined
  if (owner.pidNamespace !== here.pidNamespace) return !(await answers(owner.socket))
  const started = await readStart(owner.pid)
  if (started === undefined) return true
  return owner.started !== '' && started !== '' && owner.started !== started
}

const answers = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    if (socket === '') return resolve(false)
    const probe = connect(socket)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    // Refused or absent: nobody listens. Anything else (a full backlog, no permission) is a sign of life
    probe.once('error', (error) => {
      resolve(!('code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT')))
    })
  })

type Place = Pick<LockRecord, 'boot' | 'pidNamespace' | 'machine'>

async function describePlace(): Promise<Place> {
  if (process.platform !== 'linux') return { boot: hostname(), pidNamespace: '', machine: hostname() }
  const [boot = '', pidNamespace, machine] = await Promise.all([
    readBootId(),
    readlink('/proc/self/ns/pid').catch(() => ''),
    readText('/etc/machine-id'),
  ])
  return { boot, pidNamespace, machine: machine === '' ? hostname() : machine }
}

const readText = (path: string): Promise<string> =>
  readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => '',
  )

async function describeProcess(pid: number): Promise<Omit<LockRecord, 'socket'>> {
  return { pid, started: (await readStart(pid)) ?? '', ...(await describePlace()) }
}

/** @returns when a process started, '' when it lives but that cannot be told, undefined when there is none. */
async function readStart(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const stat = await readText(`/proc/${pid}/stat`)
    // The second field is the name in parentheses, which may hold anything; start time is the 22nd
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (stat === '') return isAlive(pid) ? '' : undefined
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : (fields[19] ?? '')
  }
  if (!isAlive(pid)) return undefined
  if (process.platform === 'win32') return ''
  const shown = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => undefined)
  return shown?.stdout.trim() ?? ''
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT'
