/**
 * A clipboard that is reached through small programs of the system, where no protocol is open to us. Such a program
 * takes contents when they are offered, not when they are pasted: an offer is read at once. Which programs, and how
 * they are spoken to, is the driver's business.
 */
import { createHash } from 'node:crypto'
import { backoffMs } from '../../base/backoff.ts'
import { sleep, withDeadline } from '../../base/clock.ts'
import type { Env } from '../../base/env.ts'
import { asSkeinError, SkeinError } from '../../base/errors.ts'
import { createEmitter, type Emitter } from '../../base/events.ts'
import { limits } from '../../base/limits.ts'
import { errorFields } from '../../base/log.ts'
import { createScope, type Scope } from '../../base/scope.ts'
import { isConcealed } from './concealment.ts'
import type { ClipboardState, CopiedFormat, Copy, DesktopClipboard, OfferedFormat } from './port.ts'

/** So many of our own contents are recognised. */
const rememberedContents = 16

/** What the mark of our own offers is called where a system takes several formats at once. */
export const originFormat = 'application/x-skein-origin'

/** A format of a copy under the name that the system has for it. */
export interface NamedFormat {
  readonly mime: string
  readonly format: string
}

export interface ClipboardDriver {
  readonly name: string
  /** What a person can do when it does not work. */
  readonly fix: string
  /** Tells of every change, and of its being ready, until it cannot go on. @throws why. */
  follow(listener: { ready(): void; changed(): void }, signal: AbortSignal): Promise<never>
  /** The names of all formats that are there now, marks included. */
  list(signal: AbortSignal): Promise<readonly string[]>
  /** One of the names for each format that is carried. */
  choose(listed: ReadonlySet<string>): readonly NamedFormat[]
  /** At most `limits.desktopFormatBytes`. */
  read(format: string, signal: AbortSignal): Promise<Uint8Array>
  /** Those of `mimes` that can be offered together, the most useful ones. */
  select(mimes: readonly string[]): readonly string[]
  write(formats: readonly CopiedFormat[], signal: AbortSignal): Promise<void>
  /** Takes back what was written, where it still stands. */
  withdraw(signal: AbortSignal): Promise<void>
}

interface ProgramEvents {
  copied: Copy
  changed: ClipboardState
}

export function createProgramClipboard(env: Env, driver: ClipboardDriver): DesktopClipboard {
  return new ProgramClipboard(env, driver)
}

class ProgramClipboard implements DesktopClipboard {
  readonly name: string
  private current: ClipboardState
  private readonly env: Env
  private readonly driver: ClipboardDriver
  private readonly scope: Scope
  private readonly emitter: Emitter<ProgramEvents>
  /** The offer that should stand. */
  private standing: readonly OfferedFormat[] | undefined
  /** Digests of what was offered since another program copied: a change may be told of late. */
  private written: string[] = []
  private looking: AbortController | undefined
  private offering: Promise<void> = Promise.resolve()

  constructor(env: Env, driver: ClipboardDriver) {
    this.env = env
    this.driver = driver
    this.name = driver.name
    this.current = { kind: 'away', reason: 'not started yet', fix: driver.fix }
    this.scope = createScope(env, `${driver.name} clipboard`)
    this.emitter = createEmitter(env.log)
    this.scope.defer(() => this.looking?.abort(new SkeinError('cancelled', 'closed')))
    this.scope.spawn('follow', (signal) => this.follow(signal))
  }

  get state(): ClipboardState {
    return this.current
  }

  onState(listener: (state: ClipboardState) => void): Disposable {
    return this.emitter.on('changed', listener)
  }

  onCopy(listener: (copy: Copy) => void): Disposable {
    return this.emitter.on('copied', listener)
  }

  async offer(formats: readonly OfferedFormat[]): Promise<void> {
    if (this.scope.signal.aborted) throw new SkeinError('cancelled', 'the clipboard was closed')
    this.standing = formats
    if (this.current.kind === 'ready') await this.inTurn(() => this.write(formats))
  }

  async withdraw(): Promise<void> {
    this.standing = undefined
    await this.inTurn(() => this.driver.withdraw(this.scope.signal))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.scope.signal.aborted) await this.withdraw()
    await this.scope.close()
  }

  private async follow(signal: AbortSignal): Promise<void> {
    const { env, driver } = this
    const listener = { ready: () => this.ready(), changed: () => this.changed() }
    for (let attempt = 0; ; attempt++) {
      const startMs = env.clock.monotonicMs()
      try {
        await driver.follow(listener, signal)
      } catch (error) {
        if (signal.aborted) throw error
        env.log[this.current.kind === 'ready' ? 'info' : 'debug']('the clipboard is away', errorFields(error))
        this.setState({ kind: 'away', reason: asSkeinError(error).message, fix: driver.fix })
      }
      if (env.clock.monotonicMs() - startMs > limits.displayRetryMaxMs) attempt = 0
      const pauses = { firstMs: limits.displayRetryMs, maxMs: limits.displayRetryMaxMs }
      await sleep(env.clock, backoffMs(attempt, pauses, env.random), signal)
    }
  }

  private setState(next: ClipboardState): void {
    const isNews = next.kind !== this.current.kind
    this.current = next
    if (isNews) this.emitter.emit('changed', next)
  }

  private ready(): void {
    const formats = this.standing
    if (formats !== undefined) void this.inTurn(() => this.write(formats))
    this.setState({ kind: 'ready' })
  }

  /** A change in the middle of reading makes what was read void. */
  private changed(): void {
    this.looking?.abort(new SkeinError('cancelled', 'somebody copied something else'))
    const mine = new AbortController()
    this.looking = mine
    this.scope.spawn('read a copy', async () => {
      try {
        await this.offering
        if (!mine.signal.aborted) await this.look(mine.signal)
      } catch (error) {
        if (!mine.signal.aborted) this.env.log.debug('a copy could not be read', errorFields(error))
      }
    })
  }

  private async look(signal: AbortSignal): Promise<void> {
    const copy = await readCopy(this.env, this.driver, signal)
    if (copy === undefined || (copy !== 'secret' && isSame(copy.formats, this.written))) return
    this.standing = undefined
    this.written = []
    if (copy !== 'secret' && copy.formats.length > 0) this.emitter.emit('copied', copy)
  }

  private async write(formats: readonly OfferedFormat[]): Promise<void> {
    const contents = await readOffer(this.env, this.driver, formats, this.scope.signal)
    if (this.standing !== formats || contents.length === 0) return
    this.written.push(...contents.map(({ content }) => digestOf(content)))
    this.written.splice(0, this.written.length - rememberedContents)
    await this.driver.write(contents, this.scope.signal)
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    this.offering = this.offering.then(work).catch((error: unknown) => {
      this.env.log.debug('the clipboard was not taken', errorFields(error))
    })
    return this.offering
  }
}

/** @returns undefined for what Skein offered itself, and for nothing. */
async function readCopy(
  env: Env,
  driver: ClipboardDriver,
  signal: AbortSignal,
): Promise<Copy | 'secret' | undefined> {
  const list = async (): Promise<ReadonlySet<string>> => {
    const deadline = { timeoutMs: limits.desktopAnswerMs, what: 'listing formats', signal }
    return new Set(await withDeadline(env.clock, deadline, (inner) => driver.list(inner)))
  }
  const listed = await list()
  if (listed.size > limits.desktopListedFormats || isConcealed(listed)) return 'secret'
  if (listed.size === 0 || listed.has(originFormat)) return undefined
  const formats: CopiedFormat[] = []
  const leftOut: { mime: string; reason: string }[] = []
  let leftBytes = limits.desktopCopyBytes
  for (const { mime, format } of driver.choose(listed)) {
    try {
      const deadline = { timeoutMs: limits.desktopAnswerMs, what: 'handing it over', signal }
      const content = await withDeadline(env.clock, deadline, (inner) => driver.read(format, inner))
      leftBytes -= content.byteLength
      if (leftBytes < 0) throw new SkeinError('limit.exceeded', 'it is too large')
      formats.push({ mime, content })
    } catch (error) {
      if (signal.aborted) throw error
      leftOut.push({ mime, reason: asSkeinError(error).message })
    }
  }
  // Programs are asked one after another: what was read may be of a copy made after the list, and a secret
  const still = await list()
  if (isConcealed(still)) return 'secret'
  return listed.symmetricDifference(still).size === 0 ? { formats, leftOut } : undefined
}

/** Contents that cannot be read are not offered. */
async function readOffer(
  env: Env,
  driver: ClipboardDriver,
  formats: readonly OfferedFormat[],
  signal: AbortSignal,
): Promise<readonly CopiedFormat[]> {
  const selected = driver.select(formats.map(({ mime }) => mime))
  const read = async (format: OfferedFormat): Promise<readonly CopiedFormat[]> => {
    const { mime } = format
    try {
      const deadline = { timeoutMs: limits.desktopPasteMs, what: `reading ${mime}`, signal }
      const content = await withDeadline(env.clock, deadline, (inner) => format.read(inner))
      return content.byteLength > limits.desktopFormatBytes ? [] : [{ mime, content }]
    } catch (error) {
      env.log.debug('a format is not offered', errorFields(error))
      return []
    }
  }
  return (await Promise.all(formats.filter(({ mime }) => selected.includes(mime)).map(read))).flat()
}

/** All that was read is what was written: our own offer, seen again, perhaps under further names. */
function isSame(formats: readonly CopiedFormat[], written: readonly string[]): boolean {
  return formats.length > 0 && formats.every(({ content }) => written.includes(digestOf(content)))
}

function digestOf(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('base64')
}
