/**
 * Reads what another program copied (ICCCM 2.4 and 2.7.2). First its list of formats and nothing else: what is marked
 * as a secret or was offered by Skein is not asked for. Then every format that is carried, each through a window of
 * its own, so that no answer can be taken for another and whatever is given up ends with its window.
 */
import type { XProperty } from 'x11'
import { abortReason, untilAborted, withDeadline } from '../../base/clock.ts'
import type { Env } from '../../base/env.ts'
import { asSkeinError, SkeinError, type ErrorCode } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { collectBytes, type CollectedBytes } from './collected-bytes.ts'
import { isConcealed } from './concealment.ts'
import type { CopiedFormat, Copy } from './port.ts'
import type { XConnection } from './x11-connection.ts'
import { chooseTargets, decodeTarget, originTarget } from './x11-formats.ts'

export interface ReadCopyOptions {
  /** When the owner took the clipboard, by the server's clock: an owner that came later is not asked. */
  readonly timeMs: number
  /** Gives everything up. */
  readonly signal: AbortSignal
  /** Aborts when the owner has ended: nothing more will come than is there already. */
  readonly ended: AbortSignal
}

/** @returns undefined for what is not for us: a secret, our own, nothing that is carried. @throws the signal's reason. */
export async function readCopy(
  env: Env,
  connection: XConnection,
  options: ReadCopyOptions,
): Promise<Copy | undefined> {
  const listBudget = createBudget(limits.desktopListedFormats * 4)
  const list = await readTarget(env, connection, { ...options, target: 'TARGETS', budget: listBudget })
  const names = nameAtoms(connection, list)
  if (isConcealed(names) || names.has(originTarget)) return undefined
  const formats: CopiedFormat[] = []
  const leftOut: { mime: string; reason: string }[] = []
  const copyBudget = createBudget(limits.desktopCopyBytes)
  const wanted = chooseTargets(names)
  const readOne = async ({ mime, target }: (typeof wanted)[number]): Promise<CopiedFormat | undefined> => {
    const budget = createBudget(limits.desktopFormatBytes, copyBudget)
    try {
      const content = await readTarget(env, connection, { ...options, target, budget })
      return { mime, content: decodeTarget(target, content) }
    } catch (error) {
      if (options.signal.aborted) throw error
      leftOut.push({ mime, reason: asSkeinError(error).message })
      return undefined
    }
  }
  for (const format of await Promise.all(wanted.map(readOne))) if (format !== undefined) formats.push(format)
  return formats.length === 0 ? undefined : { formats, leftOut }
}

interface TargetOptions extends ReadCopyOptions {
  readonly target: string
  readonly budget: Budget
}

/** How many bytes may still come. */
interface Budget {
  fits(bytes: number): boolean
  /** @throws `limit.exceeded` */
  take(bytes: number): void
}

/** @param parent is taken from as well. */
function createBudget(bytes: number, parent?: Budget): Budget {
  let leftBytes = bytes
  const fits = (wanted: number): boolean => wanted <= leftBytes && (parent?.fits(wanted) ?? true)
  return {
    fits,
    take(taken) {
      if (!fits(taken)) throw new SkeinError('limit.exceeded', 'it is too large')
      leftBytes -= taken
      parent?.take(taken)
    },
  }
}

/** What happened to the window of one conversion. */
interface Conversion {
  readonly window: number
  /** The property with the answer, 0 for a refusal. */
  answer: number | undefined
  /** How often the owner wrote the property. Counted: the next part may be there before we wait for it. */
  writes: number
  wake: () => void
}

async function readTarget(env: Env, connection: XConnection, options: TargetOptions): Promise<Uint8Array> {
  const { target, timeMs, signal } = options
  const property = connection.atoms.get('SKEIN_DATA') ?? 0
  const conversion: Conversion = { window: openWindow(), answer: undefined, writes: 0, wake: () => undefined }
  function openWindow(): number {
    return connection.createWindow((event) => {
      if (event.kind === 'answer') conversion.answer ??= event.property
      else if (event.kind === 'property' && event.property === property && event.isNew) conversion.writes++
      conversion.wake()
    })
  }
  const onEnd = (): void => conversion.wake()
  options.ended.addEventListener('abort', onEnd, { once: true })
  try {
    const deadline = { timeoutMs: limits.desktopCopyMs, what: 'handing it over', signal }
    return await withDeadline(env.clock, deadline, async (inner) => {
      connection.convert(conversion.window, connection.atoms.get(target) ?? 0, property, timeMs)
      return await receive(env, connection, conversion, { ...options, signal: inner, property })
    })
  } finally {
    options.ended.removeEventListener('abort', onEnd)
    connection.destroyWindow(conversion.window)
  }
}

type ReceiveOptions = TargetOptions & { readonly property: number }

async function receive(
  env: Env,
  connection: XConnection,
  conversion: Conversion,
  options: ReceiveOptions,
): Promise<Uint8Array> {
  const wait = (isThere: () => boolean): Promise<void> => waitFor(env, conversion, isThere, options)
  await wait(() => conversion.answer !== undefined)
  if (conversion.answer === 0) throw new SkeinError('not.found', 'the program did not hand it over')
  if (conversion.answer !== options.property) throw brokenError()
  let seen = conversion.writes
  const whole = await readProperty(connection, conversion.window, options)
  if (whole === undefined) throw brokenError()
  if (whole.type !== connection.atoms.get('INCR')) return checked(whole, options.target).data
  const collected = collectBytes(announcedSize(whole), limits.desktopFormatBytes)
  let type: number | undefined
  for (;;) {
    await wait(() => conversion.writes > seen)
    seen = conversion.writes
    const part = await readProperty(connection, conversion.window, options)
    if (part === undefined) continue
    type ??= part.type
    if (part.type !== type) throw brokenError()
    if (part.data.byteLength === 0) return collected.finish()
    collected.add(checked(part, options.target).data)
  }
}

/** @throws `deadline.exceeded` when nothing moves, `peer.gone` when nothing can. */
function waitFor(
  env: Env,
  conversion: Conversion,
  isThere: () => boolean,
  { signal, ended }: ReadCopyOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      timer[Symbol.dispose]()
      signal.removeEventListener('abort', onAbort)
      conversion.wake = () => undefined
      end()
    }
    const onAbort = (): void => settle(() => reject(abortReason(signal)))
    const fail = (code: ErrorCode, message: string): void =>
      settle(() => reject(new SkeinError(code, message)))
    const timer = env.clock.setTimer(limits.desktopAnswerMs, () =>
      fail('deadline.exceeded', 'the program did not hand it over in time'),
    )
    signal.addEventListener('abort', onAbort, { once: true })
    conversion.wake = () => {
      if (isThere()) settle(resolve)
      else if (signal.aborted) onAbort()
      else if (ended.aborted) fail('peer.gone', 'the program ended before it had handed it over')
    }
    conversion.wake()
  })
}

interface PropertyContent {
  readonly type: number
  readonly format: number
  readonly data: Uint8Array
}

const pieceWords = 256 * 1024

/** The whole of a property, which is deleted. @returns undefined when there is none. */
async function readProperty(
  connection: XConnection,
  window: number,
  { property, budget, signal }: ReceiveOptions,
): Promise<PropertyContent | undefined> {
  let collected: CollectedBytes | undefined
  let receivedBytes = 0
  const take = ({ type, format, data, bytesAfter }: XProperty): PropertyContent | 'more' | undefined => {
    if (type === 0) return undefined
    receivedBytes += data.byteLength
    budget.take(data.byteLength)
    if (!budget.fits(bytesAfter)) throw new SkeinError('limit.exceeded', 'it is too large')
    collected ??= collectBytes(receivedBytes + bytesAfter, limits.desktopFormatBytes)
    collected.add(data)
    if (bytesAfter === 0) return { type, format, data: collected.finish() }
    if (data.byteLength !== pieceWords * 4) throw brokenError()
    return 'more'
  }
  for (;;) {
    const range = { offsetWords: receivedBytes / 4, words: pieceWords }
    const found = await untilAborted(connection.readProperty(window, property, range, take), signal)
    if (found === undefined && collected !== undefined) throw brokenError()
    if (found !== 'more') return found
  }
}

/** Content that comes in parts begins with a lower bound of its size: a hint, what really comes is counted. */
function announcedSize({ data }: PropertyContent): number {
  return data.byteLength < 4 ? 0 : new DataView(data.buffer, data.byteOffset).getUint32(0, true)
}

/** Contents are bytes, the list of targets is atoms; anything else is not what was asked for. */
function checked(content: PropertyContent, target: string): PropertyContent {
  if (content.format !== (target === 'TARGETS' ? 32 : 8)) throw brokenError()
  return content
}

function nameAtoms(connection: XConnection, list: Uint8Array): ReadonlySet<string> {
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength)
  const listed = new Set<number>()
  for (let offset = 0; offset + 4 <= list.byteLength; offset += 4) listed.add(view.getUint32(offset, true))
  return new Set([...connection.atoms].filter(([, atom]) => listed.has(atom)).map(([name]) => name))
}

function brokenError(): SkeinError {
  return new SkeinError('codec.invalid', 'the program sent it broken')
}
