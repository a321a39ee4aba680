/**
 * A clipboard in memory: for machines without a desktop, for tests and simulations. `desk` stands for the programs of
 * the person: what they copy, what they mark as secret, and what they paste.
 */
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import { createEmitter } from '../../base/events.ts'
import type { ClipboardState, CopiedFormat, Copy, DesktopClipboard, OfferedFormat } from './port.ts'

/** The other programs of this desktop. */
export interface MemoryDesk {
  /** Another program copies: all formats at once. */
  copyAs(formats: readonly CopiedFormat[], leftOut?: Copy['leftOut']): void
  /** A password manager copies: nothing of it comes out of the adapter, only the offer before it is gone. */
  copyConcealedAs(formats: readonly CopiedFormat[]): void
  /** What a program can paste now. */
  readonly mimes: readonly string[]
  /** A program pastes. @returns undefined where the clipboard has no such format, or nobody could read it. */
  paste(mime: string): Promise<Uint8Array | undefined>
  /** The display goes away, and comes back. Copies in between are nobody's; the last offer is offered again. */
  leave(reason: string): void
  comeBack(): void
}

export interface MemoryClipboard extends DesktopClipboard {
  readonly desk: MemoryDesk
}

interface MemoryEvents {
  copied: Copy
  changed: ClipboardState
}

interface Offering {
  readonly isOurs: boolean
  readonly formats: readonly OfferedFormat[]
}

const empty: Offering = { isOurs: false, formats: [] }

export function createMemoryClipboard(env: Env): MemoryClipboard {
  const emitter = createEmitter<MemoryEvents>(env.log)
  const ending = new AbortController()
  let state: ClipboardState = { kind: 'ready' }
  let held = empty
  let lastOffer: readonly OfferedFormat[] | undefined

  const setState = (next: ClipboardState): void => {
    state = next
    emitter.emit('changed', next)
  }
  const take = (formats: readonly CopiedFormat[]): readonly CopiedFormat[] => {
    const copies = formats.map(({ mime, content }) => ({ mime, content: content.slice() }))
    if (state.kind === 'ready') lastOffer = undefined
    const offered = copies.map(({ mime, content }) => ({ mime, read: () => Promise.resolve(content) }))
    held = { isOurs: false, formats: offered }
    return copies
  }
  const desk: MemoryDesk = {
    copyAs(formats, leftOut = []) {
      const copies = take(formats)
      if (state.kind === 'ready' && copies.length > 0) emitter.emit('copied', { formats: copies, leftOut })
    },
    copyConcealedAs: (formats) => void take(formats),
    get mimes() {
      return held.formats.map(({ mime }) => mime)
    },
    async paste(mime) {
      const format = held.formats.find((one) => one.mime === mime)
      try {
        return (await format?.read(ending.signal))?.slice()
      } catch {
        return undefined // because: a program that pastes learns no more than that there is nothing
      }
    },
    leave(reason) {
      held = empty
      setState({ kind: 'away', reason, fix: 'bring the display back' })
    },
    comeBack() {
      if (lastOffer !== undefined) held = { isOurs: true, formats: lastOffer }
      setState({ kind: 'ready' })
    },
  }
  return {
    name: 'memory',
    desk,
    get state() {
      return state
    },
    onState: (listener) => emitter.on('changed', listener),
    onCopy: (listener) => emitter.on('copied', listener),
    offer(formats) {
      if (ending.signal.aborted) return Promise.reject(closedError())
      lastOffer = formats
      if (state.kind === 'ready') held = { isOurs: true, formats }
      return Promise.resolve()
    },
    withdraw() {
      lastOffer = undefined
      if (held.isOurs) held = empty
      return Promise.resolve()
    },
    [Symbol.asyncDispose]() {
      ending.abort(closedError())
      if (held.isOurs) held = empty
      return Promise.resolve()
    },
  }
}

function closedError(): SkeinError {
  return new SkeinError('cancelled', 'the clipboard was closed')
}
