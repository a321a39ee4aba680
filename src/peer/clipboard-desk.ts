/**
 * Joins the desktop of this device to the clipboard of the mesh: what a person copies here becomes an item, the newest
 * item of another device is offered to the programs here. Never echoes: an adapter keeps its own offers to itself, and a
 * clipboard manager that takes an offer over brings nothing that is not in the newest item already.
 */
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode } from '../base/errors.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { Clipboard, ClipboardEntry, ClipboardEvents } from '../crdt/clipboard.ts'
import { compareAge } from '../crdt/clipboard-order.ts'
import { limits } from '../base/limits.ts'
import type { ClipboardState, Copy, DesktopClipboard } from '../media/clipboard/port.ts'
import type { ClipboardContents } from './clipboard-contents.ts'
import { isSameCopy } from './clipboard-contents.ts'
import type { ClipboardPause } from './clipboard-pause.ts'

export interface DeskParts {
  readonly clipboard: Clipboard
  readonly contents: ClipboardContents
  readonly pause: ClipboardPause
  /** Undefined where settings turn it off. */
  readonly openDesktop: (() => DesktopClipboard) | undefined
  /** Works on items one after the other. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>
  readonly onState: () => void
}

export interface ClipboardDesk {
  readonly desktop: string
  /** Undefined while it is paused or off. */
  readonly state: ClipboardState | undefined
}

export function startClipboardDesk(env: Env, scope: Scope, parts: DeskParts): ClipboardDesk {
  const desk = new Desk(env, scope, parts)
  scope.own(parts.clipboard.on('changed', (change) => desk.itemsChanged(change)))
  scope.own(parts.pause.onChanged(() => desk.follow()))
  scope.own(desk)
  desk.follow()
  return desk
}

class Desk implements ClipboardDesk, AsyncDisposable {
  private readonly env: Env
  private readonly scope: Scope
  private readonly parts: DeskParts
  private opened: { readonly desktop: DesktopClipboard; readonly watches: readonly Disposable[] } | undefined
  private name = 'none'
  /** The item that stood first when it was last looked: only a newer one is offered. */
  private handled: ClipboardEntry | undefined
  private offeredId: string | undefined
  /** Items that the person copied on this very desktop. */
  private readonly copiedHere = new Set<string>()
  private readonly waiting: Copy[] = []
  private isTaking = false
  private isOffering = false
  private hasNews = false
  private closing: Promise<void> = Promise.resolve()

  constructor(env: Env, scope: Scope, parts: DeskParts) {
    this.env = env
    this.scope = scope
    this.parts = parts
  }

  get desktop(): string {
    return this.name
  }

  get state(): ClipboardState | undefined {
    return this.opened?.desktop.state
  }

  /** Opens or closes the adapter: paused, it neither reads nor offers. */
  follow(): void {
    const { openDesktop, pause } = this.parts
    const isWanted = openDesktop !== undefined && !pause.isPaused && !this.scope.signal.aborted
    if (isWanted && this.opened === undefined) {
      const desktop = openDesktop()
      this.name = desktop.name
      this.opened = {
        desktop,
        watches: [
          desktop.onCopy((copy) => this.copied(copy)),
          desktop.onState((state) => {
            this.env.log.info('desktop clipboard', {
              desktop: desktop.name,
              ...(state.kind === 'away'
                ? { state: state.kind, reason: state.reason }
                : { state: state.kind }),
            })
            this.parts.onState()
          }),
        ],
      }
    } else if (!isWanted && this.opened !== undefined) {
      const { desktop, watches } = this.opened
      this.opened = undefined
      this.offeredId = undefined
      this.waiting.length = 0
      for (const watch of watches) watch[Symbol.dispose]()
      this.closing = Promise.resolve(desktop[Symbol.asyncDispose]()).catch((error: unknown) =>
        this.env.log.warn('desktop clipboard not closed', errorFields(error)),
      )
    }
    this.parts.onState()
  }

  itemsChanged({ added, removed, isFirst }: ClipboardEvents['changed']): void {
    const { entries } = this.parts.clipboard
    // What was there before this start is the desktop's past
    if (isFirst) this.handled = entries[0] ?? this.handled
    else {
      const isFresh = (id: string): boolean => added.some((entry) => entry.id === id)
      const last = this.handled?.id
      // One that is gone must not stand before all that come: somebody may have made it the last for ever
      if (last !== undefined && removed.some(({ id }) => id === last) && !isFresh(last))
        this.handled = entries.find((entry) => !isFresh(entry.id))
      this.offerSoon()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.opened
    this.opened = undefined
    for (const watch of opened?.watches ?? []) watch[Symbol.dispose]()
    await opened?.desktop[Symbol.asyncDispose]()
    await this.closing
  }

  // --- from the desktop -------------------------------------------------------------------------------------------

  private copied(copy: Copy): void {
    // A storm: the last copy counts, those before it as far as they can be kept up with
    if (this.waiting.length >= limits.clipboardQueue) this.waiting.shift()
    this.waiting.push(copy)
    if (this.isTaking) return
    this.isTaking = true
    this.scope.spawn('take copies', async () => {
      try {
        for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
          const taken = next
          await this.parts.inTurn(() => this.take(taken))
        }
      } finally {
        this.isTaking = false
      }
    })
  }

  private async take(copy: Copy): Promise<void> {
    const { clipboard, contents } = this.parts
    try {
      if (this.opened === undefined || (await this.isEcho(copy))) return
      const payload = await contents.pack(copy)
      if (payload === undefined) return
      await clipboard.add(payload, (id) => this.noteCopied(id))
    } catch (error) {
      // because: one copy that cannot be kept costs that copy; the store and the disk report themselves
      this.env.log.warn('a copy was not kept', { code: asSkeinError(error).code })
    }
  }

  private noteCopied(id: string): void {
    this.copiedHere.add(id)
    const [oldest] = this.copiedHere
    if (this.copiedHere.size > limits.clipboardQueue && oldest !== undefined) this.copiedHere.delete(oldest)
  }

  private async isEcho(copy: Copy): Promise<boolean> {
    const [newest] = this.parts.clipboard.entries
    if (newest === undefined || newest.unreadable !== undefined) return false
    try {
      return isSameCopy(await this.parts.clipboard.read(newest.id), copy)
    } catch (error) {
      // because: it was deleted while it was looked at, and a copy that is kept once too often costs nothing
      if (hasCode(error, 'not.found', 'auth.denied')) return false
      throw error
    }
  }

  // --- to the desktop ---------------------------------------------------------------------------------------------

  private offerSoon(): void {
    this.hasNews = true
    if (this.isOffering) return
    this.isOffering = true
    this.scope.spawn('offer to the desktop', async () => {
      try {
        while (this.hasNews) {
          this.hasNews = false
          await this.offer()
        }
      } catch (error) {
        // because: a desktop that takes no offer says so in its state; the next item is offered anew
        this.env.log.warn('not offered to the desktop', errorFields(asSkeinError(error)))
      } finally {
        this.isOffering = false
      }
    })
  }

  private async offer(): Promise<void> {
    const { clipboard, contents } = this.parts
    const { entries } = clipboard
    const [newest] = entries
    const desktop = this.opened?.desktop
    const offered = this.offeredId
    if (offered !== undefined && newest?.id !== offered && !entries.some((entry) => entry.id === offered)) {
      // What was deleted is to be pasted no more
      this.offeredId = undefined
      await desktop?.withdraw()
    }
    if (newest === undefined) return
    const order = this.handled === undefined ? 1 : compareAge(newest, this.handled)
    const isReadable = newest.unreadable === undefined
    // The same item again: its key has come meanwhile
    if (order < 0 || (order === 0 && (this.handled?.unreadable === undefined || !isReadable))) return
    this.handled = newest
    if (desktop === undefined || !isReadable || this.copiedHere.has(newest.id)) return
    const formats = contents.offerOf({ entry: newest, payload: await clipboard.read(newest.id) })
    // Paused, or overtaken, while it was read
    if (formats.length === 0 || this.opened?.desktop !== desktop) return
    this.offeredId = newest.id
    await desktop.offer(formats)
  }
}
